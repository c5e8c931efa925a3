"""Which languages are related: a small table of families and branches, and the scripts of CLDR.

Families and branches as in Glottolog 5 (Hammarström et al., https://glottolog.org), with a family's first
branches: Germanic, Italic, Balto-Slavic. Constructed languages stand with those that they take
their words from.
"""

from __future__ import annotations

import numpy as np

from hbt_ray.languages import canonical_lang, script_of

TABLE = """
Indo-European/Germanic: af ang da de en fo fy gsw is lb nb nds nl nn no pdc sco sv yi
Indo-European/Italic: ast ca cbk co eo es fr fur gl ia ie io it la lfn lld mwl nov oc pms pt rm ro sc scn vec wa
Indo-European/Balto-Slavic: be bg bs cs csb cu dsb hr hsb lt ltg lv lvs mk orv pl ru rue sgs sh sk sl sr szl uk
Indo-European/Celtic: br cy ga gd gv kw
Indo-European/Greek: el grc pnt
Indo-European/Albanian: als sq
Indo-European/Armenian: hy hyw
Indo-European/Indo-Iranian: as awa bho bn ckb dv fa gom gu hi kmr kok ks ku mai mr ne npi or ory os pa pbt pes
Indo-European/Indo-Iranian: prs ps rom sa sd si tg ur zza
Afro-Asiatic/Semitic: am apc ar arb arq ary arz he mt syr ti
Afro-Asiatic/Berber: ber kab rif shi tmh tzm zgh
Afro-Asiatic/Cushitic: om so
Afro-Asiatic/Chadic: ha
Uralic/Finnic: et ekk fi krl liv vep vro
Uralic/Ugric: hu
Uralic/Volgaic: mhr mrj myv
Turkic/Turkic: az azb azj ba chv crh cv gag kaz kk ky nog otk sah tk tr tt ug uz uzn
Mongolic/Mongolic: bua khk mn xal
Sino-Tibetan/Sinitic: cmn gan hak lzh nan wuu yue zh
Sino-Tibetan/Bodic: bo dz
Sino-Tibetan/Burmese: my
Austronesian/Malayic: id jv max min ms su zsm ban bjn
Austronesian/Philippine: ceb fil hil ilo pag pam tgl tl war dtp kzj
Austronesian/Oceanic: ch fj haw mi mh sm to ty
Austronesian/Malagasy: mg plt
Dravidian/Dravidian: kn ml ta te tcy
Atlantic-Congo/Bantu: bem bnt kg lg ln loz nd nr nso ny rn rw sn ss st sw swg swh tn ts tsn ve xh zu
Atlantic-Congo/Volta-Niger: ee ig yo
Atlantic-Congo/Senegambian: ff fuc fuv wo
Tai-Kadai/Tai: lo shn th za
Austroasiatic/Vietic: vi
Austroasiatic/Khmer: km
Hmong-Mien/Hmong: hmn mww
Kartvelian/Kartvelian: ka xmf
Japonic/Japonic: ja ryu
Koreanic/Koreanic: ko
Basque/Basque: eu
Nilotic/Nilotic: luo
Mayan/Mayan: quc yua
Quechuan/Quechuan: qu quy
"""

BRANCH: dict[str, tuple[str, str]] = {
    code: (family, branch)
    for line in TABLE.strip().splitlines()
    for family, _, rest in [line.partition("/")]
    for branch, _, codes in [rest.partition(": ")]
    for code in codes.split()
}
"""Language subtag -> family and branch."""
OTHER_FAMILY, OTHER_BRANCH, OTHER_SCRIPT = 1.0, 0.5, 0.1


def family_distances(langs: tuple[str, ...]) -> np.ndarray:
    """float64 [n, n]: 1 for languages of two families, 0.5 for two branches of one, and 0.1 more for two scripts.

    A language that the table does not have is a family of its own.
    """
    branches = [BRANCH.get(canonical_lang(code).split("-")[0], (code, code)) for code in langs]
    scripts = np.array([_script(code) for code in langs])
    family, branch = (np.array([one[level] for one in branches]) for level in (0, 1))
    same_family, same_branch = family[:, None] == family, branch[:, None] == branch
    out = np.where(same_family, np.where(same_branch, 0.0, OTHER_BRANCH), OTHER_FAMILY)
    return np.asarray(out + OTHER_SCRIPT * (scripts[:, None] != scripts))


def _script(code: str) -> str:
    """Japanese and Chinese share a script: what is written in Han characters counts as one."""
    script = script_of(code)
    return "Hani" if script in {"Hans", "Hant", "Jpan"} else script
