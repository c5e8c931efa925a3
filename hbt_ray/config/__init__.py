"""The recipe: one frozen dataclass a section, each in a file of its own, checked where it is made.

A recipe is plain YAML with these sections; `section.field=value` on the command line overrides a field.
No environment variable decides anything scientific, and `resolved()` of a recipe is what goes to MLflow.
"""

from hbt_ray.config.clean import CleanConfig
from hbt_ray.config.corpus import CorpusConfig
from hbt_ray.config.evaluation import EvaluationConfig
from hbt_ray.config.gates import GatesConfig
from hbt_ray.config.model import ModelConfig
from hbt_ray.config.plan import PlanConfig
from hbt_ray.config.recipe import Recipe
from hbt_ray.config.resource import ResourceConfig, TrackingConfig
from hbt_ray.config.train import TrainConfig
from hbt_ray.config.translate import TranslateConfig
from hbt_ray.config.tune import TuneConfig

__all__ = [
    "CleanConfig",
    "CorpusConfig",
    "EvaluationConfig",
    "GatesConfig",
    "ModelConfig",
    "PlanConfig",
    "Recipe",
    "ResourceConfig",
    "TrackingConfig",
    "TrainConfig",
    "TranslateConfig",
    "TuneConfig",
]
