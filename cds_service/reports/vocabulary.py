# SPDX-License-Identifier: Apache-2.0
"""The words with which laboratories label columns, dates, people and specimens, in six languages.

All in small letters and without accents, as `plain_words` gives them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final, Literal, TypeAlias, TypeVar

from cds_service.knowledge.model.specimen_names import SpecimenNames
from cds_service.knowledge.reading.spellings import shipped_spellings
from cds_service.plain_words import plain_text, plain_words

ColumnKind: TypeAlias = Literal[
    "name", "result", "unit", "range", "low", "high", "flag", "previous", "specimen", "other"
]
Label: TypeAlias = Literal["collected", "other date", "birth", "name", "sex", "id", "specimen"]
Words: TypeAlias = tuple[str, ...]
Meaning = TypeVar("Meaning")


def _phrases(meanings: Mapping[Meaning, str]) -> dict[Words, Meaning]:
    return {
        plain_words(phrase): meaning
        for meaning, phrases in meanings.items()
        for phrase in phrases.replace("\n", ",").split(",")
        if phrase.strip()
    }


COLUMNS: Final[dict[Words, ColumnKind]] = _phrases(
    {
        "name": """test, tests, test name, analyte, analysis, investigation, parameter, component,
            test description, examination, assay, test performed,
            untersuchung, analyse, bestimmung, bezeichnung, messgroesse, messgrosse, kenngrosse,
            laborwert, laborparameter, analyt,
            examen, examens, analyses, parametre, parametres, designation, dosage, prestation,
            prueba, pruebas, determinacion, determinaciones, analisis, parametro, parametros,
            analito, estudio, ensayo,
            esame, esami, analisi, prestazione, descrizione, esame richiesto,
            exame, exames, analise, analises, ensaio, determinacao""",
        "result": """result, results, value, observed value, your result, current result, in range,
            measured value, result and units, out of range, current result and flag,
            result and flag,
            your value, result value, test result, current, current value,
            ergebnis, ergebnisse, wert, messwert, resultat, befund, aktuell, aktueller wert,
            ihr wert, ihr ergebnis, messergebnis, resultate, befundwert,
            aktuelles ergebnis,
            resultats, valeur, valeurs, valeur mesuree, resultat actuel, votre valeur,
            votre resultat, valeur trouvee, valeur actuelle,
            resultado, resultados, valor, valor actual, resultado actual, su valor, su resultado,
            valor hallado, valor medido, valor obtenido, hallazgo,
            risultato, risultati, valore, esito, valore attuale, il suo valore, valore rilevato,
            valore misurato, valore trovato, risultato attuale,
            valor atual, resultado atual, valor obtido, seu valor, seu resultado,
            valor encontrado""",
        "unit": """unit, units, uom, einheit, einheiten, einh, unite, unites, unidad, unidades,
            unita, unita di misura, um, u m, un misura, unidade""",
        "range": """range, ranges, limits, reference range, reference ranges,
            reference interval, reference intervals,
            reference, ref range, reference value, reference values, ref interval, normal range,
            normal values, normal, ref, standard range, standard ranges, normals, reference limits,
            lab range, biological reference interval, expected range, ref values,
            referenzbereich, referenzbereiche, referenz, referenzwert, referenzwerte, normbereich,
            normalbereich, normalwert, normalwerte, normwert, normwerte, ref bereich, norm,
            referenzintervall, referenzbereich alter geschlecht, soll, sollwert, sollbereich,
            valeurs de reference, valeur de reference, valeurs usuelles, intervalle de reference,
            normes, normales, valeurs normales, intervalles de reference, val de reference,
            valores de referencia, valor de referencia, intervalo de referencia, referencia,
            rango de referencia, valores normales, rango normal, rango, intervalo, v referencia,
            valori di riferimento, valore di riferimento, intervallo di riferimento, riferimento,
            valori normali, intervalli di riferimento, range di riferimento, riferimenti,
            valores de referencias, valor de ref, valores normais, v ref""",
        "low": "von, lower limit, low limit, min, minimum, untergrenze, limite inferior, da, de",
        "high": "bis, upper limit, high limit, max, maximum, obergrenze, limite superior, a, ate",
        "flag": """flag, flags, abnormal flag, abn, abnormal, h l, bewertung, kennzeichen, kennz,
            markierung, +, alerta, indicateur, indicador, segnalazione, alarme, alarma, hinweis,
            sinais, hinweise, alert, alerts, warning, anormal, interpretation, alerte,
            ind, mark, status flag, sinal""",
        "previous": """previous, previous result and date, previous result, previous results,
            last result, prior result, prior, previous value, prior value, last value, prev, last,
            before, earlier, earlier result, earlier results, past result, past results,
            history, prior results,
            vorwert, vorwerte, vorbefund, vorergebnis, letzter wert, letztes ergebnis, vorherig,
            vorheriger wert, vorbefunde, davor, fruher, fruherer wert, voriger wert, vorige werte,
            anterieur, anteriorite, anteriorites, resultat anterieur, resultats anterieurs,
            anterieurs, valeur anterieure, antecedents, resultat precedent, precedent, avant,
            valeur precedente, resultats precedents, dernier resultat,
            anterior, resultado anterior, resultados anteriores, valor anterior, previo,
            valor previo, resultado previo, historico, ultimo resultado, antecedente, antes,
            resultados previos, previos,
            precedente, risultato precedente, valore precedente, precedenti, prima,
            risultati precedenti, esito precedente, valori precedenti,
            valores anteriores, anteriores""",
        "specimen": """material, probe, probenmaterial, specimen, specimen type, sample,
            sample type, prelevement, nature, muestra, tipo de muestra, campione, amostra,
            materiale, tipo campione, tipo de amostra, espece, matrix, mat""",
        "other": """method, methode, metodo, technique, tecnica, verfahren, graph, grafik,
            comment, comments, kommentar, commentaire, comentario, commento, date, datum, fecha,
            data, page, seite, lab, labor, code, loinc, status, time, nr, no, akkr, goa, preis,
            target, change, delta, ziel, zielwert, objetivo, cible, obiettivo, accreditation,
            trend, verlauf, tendance, tendencia, observaciones, note, notes""",
    }
)

LABELS: Final[dict[Words, Label]] = _phrases(
    {
        "collected": """collected, collection date, date collected, collection, collected on,
            date of collection, drawn, date drawn, sample date, specimen date, sampled,
            collection date time, collected date, collected at, date time collected,
            specimen collected, sample collected, sampling date, sample taken,
            entnahme, entnahmedatum, abnahme, abnahmedatum, probenentnahme, blutentnahme,
            entnommen, entnommen am, entnahme am, abnahme am, entnahmezeit, abnahmezeitpunkt,
            entnahmezeitpunkt, probenahme, datum der entnahme, materialentnahme,
            prelevement, preleve le, prelevement le, date de prelevement, date du prelevement,
            preleve, prelevement du, date prelevement, prelevement effectue le,
            fecha de extraccion, extraccion, fecha extraccion, fecha de toma, toma de muestra,
            fecha toma de muestra, fecha de toma de muestra, fecha de la toma, fecha de recogida,
            fecha de muestra, fecha y hora de extraccion,
            prelievo, data prelievo, data del prelievo, prelievo del, data di prelievo,
            prelevato il, data e ora prelievo, data ora prelievo,
            colheita, coleta, data da coleta, data de coleta, data coleta, data da colheita,
            data de colheita, data colheita, coletado em, colhido em, coletado""",
        "other date": """printed, printed on, print date, report date, reported, received,
            date received, date reported, date of report, issued, validated, date, ordered,
            gedruckt, gedruckt am, druckdatum, ausdruck, berichtsdatum, befunddatum, eingang,
            eingangsdatum, probeneingang, eingang am, datum, befund vom, auftragsdatum,
            edite le, imprime le, date d edition, recu le, reception, valide le, date de reception,
            edition, enregistre le,
            fecha de impresion, impreso, fecha de informe, fecha informe, fecha de recepcion,
            fecha, recepcion, fecha de validacion, fecha de emision, impresion,
            data di stampa, stampato il, stampa, data referto, data accettazione, accettazione,
            data di accettazione, data, referto del,
            impresso em, data de impressao, impressao, emissao, data de emissao, recebido em,
            data do laudo, liberado em, data de entrada, emitido em""",
        "birth": """dob, date of birth, born, birth date, birthdate, d o b,
            geb, geb am, geburtsdatum, geboren, geboren am, geb datum,
            ne e le, ne le, nee le, date de naissance, naissance, ddn,
            fecha de nacimiento, f nacimiento, nacimiento, fecha nacimiento, f nac, fec nac,
            data di nascita, nato il, nata il, nato a il, data nascita, nascita,
            data de nascimento, nascimento, data nascimento, nasc, dt nasc""",
        "name": """patient, patient name, name, patientenname, patientin, nom, nom du patient,
            paciente, nombre, nombre del paciente, nome, paziente, nome do paciente, utente,
            nom et prenom, nom prenom, name vorname, nombre y apellidos, nome e cognome,
            cognome e nome, cognome nome, apellidos y nombre, nome do utente, full name,
            patient in, name des patienten, nome paziente, nome completo""",
        "sex": "sex, gender, geschlecht, sexe, sexo, sesso, genero",
        "id": """patient id, patient no, patient number, mrn, medical record number, pid, id,
            patienten nr, patienten id, patientennummer, patientennr, pat nr, pat id, patnr,
            ipp, n patient, numero patient, no patient, identifiant, n dossier, numero de dossier,
            nhc, historia clinica, n historia, historia, id paciente, id paziente,
            codice paziente, cod paziente, prontuario, n utente, numero de utente, id patient,
            codigo do paciente, registro, patient identifier""",
        "specimen": """material, probenmaterial, untersuchungsmaterial, specimen, specimen type,
            sample type, sample, type de prelevement, nature du prelevement, tipo de muestra,
            muestra, materiale, campione, tipo campione, tipo de amostra, amostra, nature""",
    }
)

SEXES: Final[dict[Words, str]] = _phrases(
    {
        "female": "f, w, female, weiblich, feminin, femenino, femminile, femina, feminino, woman, "
        "frau, mujer, donna, mulher, femme, fem, wbl",
        "male": "m, male, mannlich, maennlich, masculin, masculino, maschile, man, mann, hombre, "
        "uomo, homem, homme, masc, mnl",
    }
)

_METHODS: Final = re.compile(
    r"\b(?:method\w*|metod\w*|techni\w*|tecnic\w*|verfahren|photomet\w*|fotomet\w*|colorim\w*|"
    r"kolorim\w*|enzym\w*|spectro\w*|spektro\w*|ifcc|cinet\w*|kinet\w*|cobas|roche|abbott|siemens|"
    r"beckman|architect|alinity|atellica|edta|serum|plasma|serique|suero|siero|soro)\b"
)


def names_fluid(text: str) -> bool:
    """Whether a text names a specimen that is none of blood, serum and plasma."""
    return _specimens().name_another(text)


def names_blood(text: str, *, itself: bool = False) -> bool:
    """Whether a text names blood, serum or plasma, or a part of a report about them."""
    return _specimens().name_blood(text) or (not itself and _specimens().name_part(text))


def is_blood(text: str) -> bool:
    """Whether a text is the name or the code of blood, serum or plasma, and of no other."""
    known = _specimens()
    is_named = known.is_blood(text) or known.is_code_of_blood(text)
    return not known.name_another(text) and (is_named or known.are_letters_of_blood(text))


def are_of_another_specimen(texts: Iterable[str], codes: Iterable[tuple[str, str]]) -> bool:
    """Whether the texts of one specimen and its codes, each with its system, are not of blood."""
    return _specimens().are_of_another(texts, codes)


@cache
def _specimens() -> SpecimenNames:
    """The words in `cards/spellings.yaml`; the file that came with the service counts."""
    return shipped_spellings().specimens


def names_method(text: str) -> bool:
    """Whether a text speaks of how, or in which tube, something was measured."""
    return _METHODS.search(plain_text(text)) is not None


def longest_match(
    words: Sequence[str], start: int, known: Mapping[Words, Meaning]
) -> tuple[int, Meaning] | None:
    """The longest known phrase that begins at a word, with the place after it."""
    for end in range(min(len(words), start + 7), start, -1):
        meaning = known.get(tuple(words[start:end]))
        if meaning is not None:
            return end, meaning
    return None


def meaning_of(texts: Iterable[str], known: Mapping[Words, Meaning]) -> Meaning | None:
    """What all the words together are, if that is known."""
    return known.get(tuple(word for text in texts for word in plain_words(text)))
