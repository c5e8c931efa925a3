"""Greek phrasings; names stand after a colon or in quotes, where no article or case is needed."""

QUESTIONS = {
    "currency_of_territory": (
        "Με τι χρήματα πληρώνει κανείς σε αυτή την περιοχή: {territory} ({region});",
        "Ποιο νόμισμα ισχύει νόμιμα εδώ: {territory}, στην ευρύτερη περιοχή «{region}»;",
    ),
    "languages_of_territory": (
        "Τι μιλούν επίσημα σε αυτή την περιοχή: {territory} ({region});",
        "Ποιες γλώσσες είναι επίσημες εδώ: {territory}, στην ευρύτερη περιοχή «{region}»;",
    ),
    "code_of_currency": (
        "Ποια τρία γράμματα δηλώνουν το νόμισμα «{currency}» σε τραπεζικό έμβασμα προς: {territory};",
        "Ποιος είναι ο διεθνής κωδικός για το νόμισμα «{currency}» (χρήμα της περιοχής: {territory});",
    ),
    "currencies_of_territory_pair": (
        "Ποια νομίσματα χρειάζεται ένας ταξιδιώτης για τη διαδρομή: {a} και μετά {b};",
        "Με τι πληρώνουν εδώ: {a}, και με τι εκεί: {b};",
    ),
    "scripts_of_language_pair": (
        "Με ποιες γραφές γράφονται τα {a} και τα {b};",
        "Ποια γράμματα πρέπει να μάθω για να διαβάζω {a} και ποια για {b};",
    ),
    "weekdays_of_month": (
        "Σε ποιες ημερομηνίες πέφτει η ημέρα «{weekday}» τον μήνα: {month} {year};",
        "Το μάθημά μου γίνεται πάντα {weekday}. Πότε είναι αυτό τον μήνα: {month} {year};",
    ),
    "time_in_other_city": (
        "Είναι {weekday}, {time}, σε αυτή την πόλη: {a}. Τι ώρα είναι στην πόλη: {b};",
        "Μια κλήση αρχίζει {weekday}, {time} (πόλη: {a}). Πότε είναι για έναν συνάδελφο στην πόλη: {b};",
    ),
    "unit_conversion": (
        "Πόσο κάνουν {amount}, σε αυτή τη μονάδα: {unit};",
        "Τι θα βρω αν μετατρέψω {amount} σε {unit};",
    ),
}

FACTS = {
    "currency": (
        "Περιοχή: {territory}. Πληρώνουν με: {currency}.",
        "Το νόμισμα της περιοχής «{territory}» είναι: {currency}.",
    ),
    "region": (
        "Η περιοχή «{territory}» ανήκει εδώ: {region}.",
        "Στον χάρτη, η περιοχή «{territory}» βρίσκεται στην ενότητα «{region}».",
    ),
    "languages": (
        "Επίσημη γλώσσα στην περιοχή «{territory}»: {languages}.",
        "Η επίσημη γλωσσική χρήση για την περιοχή «{territory}» περιλαμβάνει: {languages}.",
    ),
    "territory_code": (
        "Ο κωδικός χώρας με δύο γράμματα είναι {code}.",
        "Τα διεθνή πρότυπα συντομεύουν την περιοχή ως {code}.",
    ),
    "currency_code": (
        "Ο κωδικός για το νόμισμα «{currency}» είναι {code}.",
        "Οι τράπεζες γράφουν {code} για το νόμισμα «{currency}».",
    ),
    "script": (
        "Τα {language} γράφονται με αυτή τη γραφή: {script}.",
        "Η συνηθισμένη γραφή για τα {language} είναι: {script}.",
    ),
    "language_code": (
        "Ο γλωσσικός κωδικός για τα {language} είναι {code}.",
        "Τα προγράμματα σημειώνουν τα {language} με {code}.",
    ),
    "weekday_dates": (
        "Μήνας: {month} {year}. Η ημέρα «{weekday}» πέφτει σε αυτές τις ημέρες: {days}.",
        "Η ημέρα «{weekday}» έρχεται στις εξής ημέρες ({month} {year}): {days}.",
    ),
    "first_date": ("Η πρώτη ημερομηνία είναι: {date}.", "Η σειρά αρχίζει έτσι: {date}."),
    "month_start": (
        "Ο μήνας αρχίζει με την ημέρα «{weekday}» και διαρκεί {length}.",
        "Ο μήνας έχει {length} και η πρώτη του ημέρα είναι {weekday}.",
    ),
    "time": (
        "Όταν τα ρολόγια στην πόλη «{a}» δείχνουν {weekday_a}, {time_a}, στην πόλη «{b}» είναι {weekday_b}, {time_b}.",
        "{weekday_a}, {time_a} ({a}) είναι η ίδια στιγμή με {weekday_b}, {time_b} ({b}).",
    ),
    "offset": (
        "Σε χειμερινή ώρα, η πόλη «{city}» ακολουθεί {offset}.",
        "Η κανονική ώρα για την πόλη «{city}» είναι {offset}.",
    ),
    "conversion": ("{amount} ισοδυναμούν με {result}.", "{result} είναι το ίδιο με {amount}."),
    "conversion_of_one": ("Ο κανόνας: {one} ισοδυναμεί με {result}.", "Για σύγκριση, {one} κάνει {result}."),
}
