"""Prints what PyPI's phonenumbers, the reference for phone numbers, reads in what people type.

    tests/phone_numbers.py prefixes|types|own|both

prefixes: in each region with an international prefix other than 00, all of its prefixes, each in
    front of a mobile number of each country
types: in each region, a number of each kind, as it is written there and abroad
own: in each region that shares its calling code, numbers of its mobile ranges
both: the regions in which a landline cannot be told from a mobile number

All but the last print lines of a region, a text, the number that a code could be sent to (or -),
and where it belongs, separated by tabs. The Rust test `numbers` holds the program to them.
"""

import functools
import multiprocessing
import random
import re._parser as patterns
import sys

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = [kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN]
RECEIVES = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
SAMPLES = 200
# Digits that are tried for any digit of a prefix: China's hold operators' codes, whose 2,100 forms
# would be six of seven cases.
ANY_DIGIT = "[019]"
NOBODY = "-\t-"
NO_COUNTRY = "001"


def all_of(pattern):
    """All texts that a pattern matches."""
    texts = {""}
    for kind, value in pattern:
        texts = {text + end for text in texts for end in each(str(kind), value)}
    return texts


def each(kind, value):
    if kind == "LITERAL":
        return {chr(value)}
    if kind == "RANGE":
        return {chr(code) for code in range(value[0], value[1] + 1)}
    if kind == "CATEGORY":
        return set("0123456789")
    if kind == "IN":
        return set().union(*(each(str(of), what) for of, what in value))
    if kind == "BRANCH":
        return set().union(*map(all_of, value[1]))
    if kind == "SUBPATTERN":
        return all_of(value[3])
    if kind == "MAX_REPEAT":
        least, most, part = value
        return set().union(*(all_of(list(part) * times) for times in range(least, most + 1)))
    raise ValueError(kind)


def one_of(pattern, chance):
    """One of the texts that a pattern matches."""
    text = ""
    for kind, value in pattern:
        kind = str(kind)
        if kind == "BRANCH":
            text += one_of(chance.choice(value[1]), chance)
        elif kind == "SUBPATTERN":
            text += one_of(value[3], chance)
        elif kind == "MAX_REPEAT":
            least, most, part = value
            text += "".join(one_of(part, chance) for _ in range(chance.randint(least, most)))
        else:
            text += chance.choice(sorted(each(kind, value)))
    return text


@functools.cache
def receiver(e164):
    """The number, if it may receive SMS, and where it belongs."""
    number = phonenumbers.parse(e164)
    if phonenumbers.number_type(number) not in RECEIVES:
        return NOBODY
    place = phonenumbers.region_code_for_number(number)
    return f"{e164}\t{place if place != NO_COUNTRY else f'+{number.country_code}'}"


def read(region, text):
    try:
        number = phonenumbers.parse(text, region)
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        # One form for one number, unless what is no number changes when it is read again.
        same = phonenumbers.parse(e164) == number
        found = receiver(e164) if same else NOBODY
    except phonenumbers.NumberParseException:
        found = NOBODY
    return f"{region}\t{text}\t{found}"


def example(region, kind):
    return phonenumbers.example_number_for_type(region, kind)


def own_prefixes():
    """Regions, each with one of its international prefixes, where 00 is not the only one."""
    for region in REGIONS:
        pattern = PhoneMetadata.metadata_for_region(region).international_prefix
        if pattern and pattern != "00":
            few = patterns.parse(pattern.replace(r"\d", ANY_DIGIT))
            yield from ((region, prefix) for prefix in sorted(all_of(few)))


@functools.cache
def mobile_numbers():
    """One of each country, once each: regions without ranges of their own have another's."""
    numbers = filter(None, (example(region, PhoneNumberType.MOBILE) for region in REGIONS))
    return sorted(
        {phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:] for number in numbers}
    )


def behind(region_and_prefix):
    region, prefix = region_and_prefix
    return [read(region, prefix + number) for number in mobile_numbers()]


def prefixes():
    with multiprocessing.Pool(2) as pool:
        for lines in pool.imap(behind, own_prefixes(), chunksize=20):
            yield from lines


def types():
    formats = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164)
    for region in REGIONS:
        for number in filter(None, (example(region, kind) for kind in KINDS)):
            written = [phonenumbers.format_number(number, form) for form in formats]
            digits = written[-1][1:], phonenumbers.national_significant_number(number)
            yield from (read(region, text) for text in (*written, *digits))


def samples(region, kind):
    """Numbers of one kind's ranges: the same ones each time."""
    ranges = getattr(PhoneMetadata.metadata_for_region(region), kind)
    if not ranges or not ranges.national_number_pattern:
        return set()
    pattern, chance = patterns.parse(ranges.national_number_pattern), random.Random(region)
    code = phonenumbers.country_code_for_region(region)
    return {f"+{code}{one_of(pattern, chance)}" for _ in range(SAMPLES)}


def own():
    for region in REGIONS:
        code = phonenumbers.country_code_for_region(region)
        if len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]) > 1:
            yield from (read(region, text) for text in sorted(samples(region, "mobile")))


def is_either(region):
    kinds = map(phonenumbers.number_type, map(phonenumbers.parse, samples(region, "fixed_line")))
    return PhoneNumberType.FIXED_LINE_OR_MOBILE in kinds


def both():
    yield " ".join(filter(is_either, REGIONS))


def main():
    lines = {"prefixes": prefixes, "types": types, "own": own, "both": both}[sys.argv[1]]
    sys.stdout.writelines(f"{line}\n" for line in lines())


if __name__ == "__main__":
    main()
