"""How each family of models names languages: one table a family, from BCP-47 tags to the model's own codes.

Only tags that stand in the table are translated to: `pt-BR` is not silently taken for `pt`. A table is written
code=tags, so that each code of the model is there once; the tags are in the form of `canonical_lang`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import langcodes

from hbt_ray.errors import ConfigError
from hbt_ray.languages import canonical_lang


def _table(text: str) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in text.split())
    return {tag: code for code, _, tags in pairs for tag in (tags or code).split(",")}


# A macrolanguage is the individual language that FLORES-200 has for it (ar: arb, sw: swh); tags of languages with two
# scripts need theirs, but for Chinese. The texts behind sat_Beng are in Ol Chiki, whatever the code says.
NLLB: Final = _table("""
ace_Arab=ace-Arab ace_Latn=ace-Latn acm_Arab=acm,acm-Arab acq_Arab=acq,acq-Arab aeb_Arab=aeb,aeb-Arab afr_Latn=af
ajp_Arab=ajp,ajp-Arab aka_Latn=ak,ak-Latn als_Latn=sq,als,als-Latn amh_Ethi=am apc_Arab=apc,apc-Arab
arb_Arab=ar,arb,arb-Arab ars_Arab=ars,ars-Arab ary_Arab=ary,ary-Arab arz_Arab=arz,arz-Arab asm_Beng=as
ast_Latn=ast,ast-Latn awa_Deva=awa,awa-Deva ayr_Latn=ay,ayr,ayr-Latn azb_Arab=azb,azb-Arab
azj_Latn=az,azj,az-Latn,azj-Latn bak_Cyrl=ba,ba-Cyrl bam_Latn=bm,bm-Latn ban_Latn=ban,ban-Latn bel_Cyrl=be
bem_Latn=bem,bem-Latn ben_Beng=bn bho_Deva=bho,bho-Deva bjn_Arab=bjn-Arab bjn_Latn=bjn-Latn bod_Tibt=bo,bo-Tibt
bos_Latn=bs bug_Latn=bug,bug-Latn bul_Cyrl=bg cat_Latn=ca ceb_Latn=ceb,ceb-Latn ces_Latn=cs cjk_Latn=cjk,cjk-Latn
ckb_Arab=ckb,ckb-Arab crh_Latn=crh,crh-Latn cym_Latn=cy dan_Latn=da deu_Latn=de dik_Latn=dik,din,dik-Latn,din-Latn
dyu_Latn=dyu,dyu-Latn dzo_Tibt=dz ell_Grek=el eng_Latn=en epo_Latn=eo est_Latn=et eus_Latn=eu ewe_Latn=ee,ee-Latn
fao_Latn=fo fij_Latn=fj fin_Latn=fi fon_Latn=fon,fon-Latn fra_Latn=fr fur_Latn=fur,fur-Latn
fuv_Latn=ff,fuv,ff-Latn,fuv-Latn gaz_Latn=om,gaz,gaz-Latn gla_Latn=gd,gd-Latn gle_Latn=ga glg_Latn=gl grn_Latn=gn
guj_Gujr=gu hat_Latn=ht hau_Latn=ha,ha-Latn heb_Hebr=he hin_Deva=hi hne_Deva=hne,hne-Deva hrv_Latn=hr hun_Latn=hu
hye_Armn=hy ibo_Latn=ig,ig-Latn ilo_Latn=ilo,ilo-Latn ind_Latn=id isl_Latn=is ita_Latn=it jav_Latn=jv,jv-Latn
jpn_Jpan=ja kab_Latn=kab,kab-Latn kac_Latn=kac,kac-Latn kam_Latn=kam,kam-Latn kan_Knda=kn kas_Arab=ks-Arab
kas_Deva=ks-Deva kat_Geor=ka kaz_Cyrl=kk kbp_Latn=kbp,kbp-Latn kea_Latn=kea,kea-Latn
khk_Cyrl=mn,khk,mn-Cyrl,khk-Cyrl khm_Khmr=km kik_Latn=ki,ki-Latn kin_Latn=rw kir_Cyrl=ky,ky-Cyrl
kmb_Latn=kmb,kmb-Latn kmr_Latn=ku,kmr,ku-Latn,kmr-Latn knc_Arab=kr-Arab,knc-Arab knc_Latn=kr-Latn,knc-Latn
kon_Latn=kg,kg-Latn kor_Hang=ko,ko-Hang lao_Laoo=lo lij_Latn=lij,lij-Latn lim_Latn=li,li-Latn lin_Latn=ln
lit_Latn=lt lmo_Latn=lmo,lmo-Latn ltg_Latn=ltg,ltg-Latn ltz_Latn=lb lua_Latn=lua,lua-Latn lug_Latn=lg,lg-Latn
luo_Latn=luo,luo-Latn lus_Latn=lus,lus-Latn lvs_Latn=lv,lvs,lvs-Latn mag_Deva=mag,mag-Deva mai_Deva=mai mal_Mlym=ml
mar_Deva=mr min_Latn=min,min-Latn mkd_Cyrl=mk mlt_Latn=mt mni_Beng=mni,mni-Beng mos_Latn=mos,mos-Latn
mri_Latn=mi,mi-Latn mya_Mymr=my nld_Latn=nl nno_Latn=nn nob_Latn=nb,no npi_Deva=ne,npi,npi-Deva nso_Latn=nso
nus_Latn=nus,nus-Latn nya_Latn=ny oci_Latn=oc,oc-Latn ory_Orya=or,ory,ory-Orya pag_Latn=pag,pag-Latn pan_Guru=pa
pap_Latn=pap,pap-Latn pbt_Arab=ps,pbt,pbt-Arab pes_Arab=fa,pes,pes-Arab plt_Latn=mg,plt,plt-Latn pol_Latn=pl
por_Latn=pt prs_Arab=prs,prs-Arab quy_Latn=qu,quy,quy-Latn ron_Latn=ro run_Latn=rn rus_Cyrl=ru sag_Latn=sg
san_Deva=sa,sa-Deva sat_Beng=sat,sat-Olck scn_Latn=scn,scn-Latn shn_Mymr=shn,shn-Mymr sin_Sinh=si slk_Latn=sk
slv_Latn=sl smo_Latn=sm sna_Latn=sn,sn-Latn snd_Arab=sd,sd-Arab som_Latn=so sot_Latn=st spa_Latn=es
srd_Latn=sc,sc-Latn srp_Cyrl=sr,sr-Cyrl ssw_Latn=ss sun_Latn=su,su-Latn swe_Latn=sv swh_Latn=sw,swh,swh-Latn
szl_Latn=szl,szl-Latn tam_Taml=ta taq_Latn=taq-Latn taq_Tfng=taq-Tfng tat_Cyrl=tt,tt-Cyrl tel_Telu=te
tgk_Cyrl=tg,tg-Cyrl tgl_Latn=tgl,tgl-Latn tha_Thai=th tir_Ethi=ti tpi_Latn=tpi tsn_Latn=tn tso_Latn=ts
tuk_Latn=tk,tk-Latn tum_Latn=tum,tum-Latn tur_Latn=tr twi_Latn=tw,tw-Latn tzm_Tfng=tzm,tzm-Tfng uig_Arab=ug,ug-Arab
ukr_Cyrl=uk umb_Latn=umb,umb-Latn urd_Arab=ur uzn_Latn=uz,uzn,uz-Latn,uzn-Latn vec_Latn=vec,vec-Latn vie_Latn=vi
war_Latn=war,war-Latn wol_Latn=wo,wo-Latn xho_Latn=xh ydd_Hebr=yi,ydd,ydd-Hebr yor_Latn=yo,yo-Latn
yue_Hant=yue,yue-Hant zho_Hans=zh,zh-Hans zho_Hant=zh-Hant zsm_Latn=ms,zsm,zsm-Latn zul_Latn=zu
""")
"""BCP-47 tag -> FLORES-200 code, the 202 that NLLB's tokenizer has."""

M2M_100: Final = _table("""
af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy id
ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no=no,nb ns=nso oc or pa pl ps pt ro
ru sd si sk sl so sq sr ss su sv sw ta th tl=tgl tn tr uk ur uz vi wo xh yi yo zh zu
""")
"""BCP-47 tag -> the code between the underscores of `__de__`, the 100 of M2M-100."""

MARIAN: Final[dict[str, tuple[str, ...]]] = {
    "ar": ("ara", "arb", "ar"),
    "fa": ("fas", "pes", "fa"),
    "ms": ("msa", "zsm_Latn", "zsm", "ms"),
    "nb": ("nob", "nb", "nb_NO"),
    "no": ("nor", "nob", "no"),
    "pt-BR": ("pob", "pt_br", "pt_BR"),
    "sr": ("srp_Cyrl", "srp", "sr"),
    "sr-Latn": ("srp_Latn",),
    "zh": ("cmn_Hans", "zho_Hans", "cmn", "zho", "zh_cn", "zh_CN", "zh"),
    "zh-Hans": ("cmn_Hans", "zho_Hans", "zh_cn", "zh_CN"),
    "zh-Hant": ("cmn_Hant", "zho_Hant", "zh_tw", "zh_TW"),
}
"""BCP-47 tag -> codes of OPUS-MT models, the first that a model has; other tags: ISO 639-3, with script, ISO 639-1."""


def marian_codes(lang: str) -> tuple[str, ...]:
    """What an OPUS-MT model may call `lang`, in order of preference."""
    if lang in MARIAN:
        return MARIAN[lang]
    tag = langcodes.Language.get(lang, normalize=False)
    base = tag.language or lang
    try:
        long = langcodes.Language.get(base, normalize=False).to_alpha3()
    except LookupError:
        long = base
    if tag.territory:
        return tuple(f"{name}_{tag.territory}" for name in (long, base))
    if tag.script:
        return tuple(f"{name}_{tag.script}" for name in dict.fromkeys((long, base)))
    return tuple(dict.fromkeys((long, base)))


def unsupported(model: str, field: str, lang: str, supported: Iterable[str]) -> ConfigError:
    """The error for a language that a model does not have: names those that are nearest, and all."""
    known = sorted(set(supported))
    base = langcodes.Language.get(lang, normalize=False).language
    near = [tag for tag in known if tag.split("-")[0] == base]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return ConfigError(
        f"{field}={lang!r} is not allowed: model {model!r} has no such language{hint}; it has {', '.join(known)}"
    )


def canonical_target(field: str, code: str) -> str:
    """`canonical_lang`, with the field of the recipe in the error."""
    try:
        return canonical_lang(code)
    except ValueError as error:
        raise ConfigError(f"{field}: {error}") from None


def table_codes(table: dict[str, str], has: Callable[[str], Any]) -> dict[str, str]:
    """The part of a table whose codes a tokenizer has: fine-tuned and wmt21 models have fewer."""
    return {tag: code for tag, code in table.items() if has(code)}
