"""The tracking store: where it is, whether it answers, and how a person opens it.

With nothing configured the store is one SQLite file in the study's directory, artifacts beside it, so that
a study is recorded with no server running.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import sqlite3
import sys
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlparse

from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from hbt_ray.errors import ClusterError, one_line

SERVERS = ("http", "https", "databricks")
UI_PORT = 5000
PLUGINS = "mlflow.tracking_store"
"""Group of the entry points by which packages add stores to MLflow."""
ARTIFACTS = "mlartifacts"
"""Directory beside a SQLite store, where it has its artifacts."""
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""(table, column) of MLflow's database that hold where artifacts are."""


def resolve_tracking_uri(recipe_uri: str, default_dir: Path) -> str:
    """The store to use: the recipe's URI if set, else `MLFLOW_TRACKING_URI`, else SQLite in `default_dir`."""
    configured = recipe_uri.strip() or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    return configured or f"sqlite:///{quoted(str(default_dir.absolute() / 'mlflow.db'))}"


def quoted(path: str) -> str:
    """A path in a URI: what would end it, or be decoded, is encoded; the rest stays readable."""
    return path.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def sqlite_path(tracking_uri: str) -> Path | None:
    """The database file of a SQLite URI, None for every other kind of store."""
    match = re.match(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)", tracking_uri)
    return Path(unquote(match["path"])).absolute() if match else None


def artifact_location(tracking_uri: str) -> str | None:
    """`file:` URI of the artifact directory beside a SQLite database; None: the server decides."""
    database = sqlite_path(tracking_uri)
    return (database.parent / ARTIFACTS).as_uri() if database else None


def follow_move(database: Path) -> str:
    """Let a store whose workspace was moved or copied find its artifacts beside it; where they were said to be.

    MLflow keeps absolute paths. A store that has no artifacts beside it is left as it is; empty: nothing to do.
    """
    here = database.parent / ARTIFACTS
    if not database.is_file() or not here.is_dir():
        return ""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in tables:
            return ""
        query = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file:%/' || ?"
        old = [place for (place,) in connection.execute(query, (ARTIFACTS,)) if place != here.as_uri()]
        for place in old:
            for table, column in PLACES:
                if table in tables:
                    _replace(connection, table, column, place, here.as_uri())
            before, now = Path(unquote(urlparse(place).path)).parents[1], here.parents[1]
            _replace(connection, "tags", "value", str(before), str(now))  # of runs: where their models are
    return ", ".join(old)


def _replace(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    changed = f"? || substr({column}, length(?) + 1)"
    where = f"{column} = ? OR substr({column}, 1, length(?) + 1) = ? || '/'"
    connection.execute(f"UPDATE {table} SET {column} = {changed} WHERE {where}", (new, old, old, old, old))


def check_tracking(tracking_uri: str, timeout_s: float = 5.0) -> None:
    """Fails early, in one line, where nothing could ever be recorded.

    Args:
        tracking_uri: as returned by `resolve_tracking_uri`.
        timeout_s: seconds that a server has to answer; nothing is asked twice.

    Raises:
        ClusterError: a plain-file store, a kind of store that MLflow does not have, a database whose driver is not
            installed, a directory that cannot be written, a server that is down, too slow, or that refuses the
            request.
    """
    scheme = tracking_uri.partition(":")[0].lower() if ":" in tracking_uri else ""
    kind = scheme.partition("+")[0]
    known = sorted({*SERVERS, *DATABASE_ENGINES, *(plugin.name for plugin in entry_points(group=PLUGINS))})
    if scheme in ("", "file") or kind not in known:
        reason = f"MLflow has no store {scheme!r}; it has {', '.join(known)}"
        if scheme in ("", "file"):
            reason = "MLflow's store of plain files is in maintenance mode; `mlflow migrate-filestore` moves its runs"
        hint = "Use sqlite:////absolute/path/mlflow.db or the http(s) address of an MLflow server."
        raise _unusable(tracking_uri, f"{reason}. {hint}")
    if database := sqlite_path(tracking_uri):
        _check_directory(tracking_uri, database.parent)
    elif kind in DATABASE_ENGINES:
        try:
            make_url(tracking_uri).get_dialect().import_dbapi()
        except ImportError as error:
            hint = "Install it on the machine that runs the job, or name another driver as in postgresql+psycopg2://."
            raise _unusable(tracking_uri, f"the database's driver is missing ({error}). {hint}") from error
        except SQLAlchemyError as error:
            raise _unusable(tracking_uri, f"no address of a database ({error}).") from error
    elif scheme in ("http", "https"):
        _check_server(tracking_uri, timeout_s)


def _unusable(uri: str, reason: str) -> ClusterError:
    return ClusterError(f"tracking URI {shown_uri(uri)!r}: {reason}")


def store_error(tracking_uri: str, error: Exception) -> ClusterError:
    """A store that stopped answering, in one line."""
    return _unusable(tracking_uri, f"the store does not answer as it should ({one_line(error)})")


def shown_uri(uri: str) -> str:
    """A URI for people and logs: without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)


def _check_directory(uri: str, directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        hint = "Choose one that this user can write, or set MLFLOW_TRACKING_URI to a server."
        raise _unusable(uri, f"directory {directory} cannot be written. {hint}")


def _check_server(uri: str, timeout_s: float) -> None:
    try:
        response = http_request(  # type: ignore[no-untyped-call]
            get_default_host_creds(uri),  # type: ignore[no-untyped-call]
            "/api/2.0/mlflow/experiments/search",
            "GET",
            max_retries=0,
            timeout=timeout_s,
            raise_on_status=False,
            params={"max_results": 1},
        )
    except MlflowException as error:
        hint = "Start the server, correct the address, or unset it to record into a local SQLite file."
        raise _unusable(uri, f"no answer ({_last_cause(error)}; limit {timeout_s:g} s). {hint}") from error
    if response.status_code == 200:
        return
    if response.status_code == 403 and "Invalid Host header" in response.text:
        hint = f"Start it with `mlflow server --allowed-hosts` naming {uri.split('/')[2]!r} and localhost:*."
        raise _unusable(uri, f"the server answers 403 'Invalid Host header'. {hint}")
    hint = "Check that an MLflow tracking server listens at this address, and its log."
    if response.status_code in (401, 403):
        hint = "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
    raise _unusable(uri, f"the server answers HTTP {response.status_code} to an experiment search. {hint}")


def _last_cause(error: BaseException) -> str:
    """The innermost reason of a chain of network errors, without object addresses, in one line."""
    text = re.sub(r"<[^>]*>[:,]?\s*", "", one_line(error, limit=10_000))  # the reason stands at the end
    reasons = re.findall(r"Connection refused|timed out|Name or service not known|[\w ]+resolution", text)
    return str(reasons[-1]).strip() if reasons else text[-160:]


def ui_command(tracking_uri: str, page: str = "") -> str:
    """What opens the MLflow UI on this store: for a database a shell command and then the address, else the address.

    `page`: where the address leads (`RunStore.comparison`); empty: the front page.
    """
    if tracking_uri.lower().startswith(("http://", "https://")):
        return shown_uri(tracking_uri.rstrip("/")) + page
    port = free_port(UI_PORT)
    # Without job execution the server is 2 processes and 0.4 GB instead of 10 processes and 1.7 GB.
    python = shlex.quote(sys.executable)
    parts = [f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {python} -m mlflow server --workers 1 --host 127.0.0.1"]
    parts += [f"--port {port} --backend-store-uri {shlex.quote(shown_uri(tracking_uri))}"]
    if location := artifact_location(tracking_uri):
        parts.append(f"--artifacts-destination {shlex.quote(location)}")
    return f"{' '.join(parts)}  # then open http://127.0.0.1:{port}{page}"


def free_port(first: int) -> int:
    """The first port from `first` on that nothing listens at on the loopback."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return first
