use super::*;

fn region(code: &str) -> Region {
    Region::parse(code).expect("a region")
}

fn parse(text: &str) -> Result<String, PhoneError> {
    PhoneNumber::parse(text, region("CN")).map(|number| number.e164().to_owned())
}

#[test]
fn every_way_to_write_a_number_is_the_same_number() {
    for text in [
        "13800138000",
        "+86 138 0013 8000",
        "008613800138000",
        "+86-138-0013-8000",
        "\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff10}",
        "\u{ff0b}\u{ff18}\u{ff16}13800138000",
        "  (138) 0013.8000 ",
        "\u{661}\u{663}\u{668}\u{660}\u{660}\u{661}\u{663}\u{668}\u{660}\u{660}\u{660}",
    ] {
        assert_eq!(parse(text).as_deref(), Ok("+8613800138000"), "{text:?}");
    }
    assert_eq!(
        PhoneNumber::parse("2025550123", region("us")).map(|n| n.e164().to_owned()).as_deref(),
        Ok("+12025550123"),
        "a national number is read in its region"
    );
    assert_eq!(
        PhoneNumber::parse("0044 7400 123456", region("US"))
            .map(|n| n.e164().to_owned())
            .as_deref(),
        Ok("+447400123456")
    );
}

#[test]
fn what_is_no_mobile_number_is_refused() {
    for text in [
        "",
        "+",
        "1",
        "abc",
        "12345",
        "+861380013800",
        "138001380001234567890123456789",
        "13800138000; DROP",
        "1380013800O",
        "13800138000\0",
        "\u{202e}13800138000",
        "+86+13800138000",
        "+999123456789",
    ] {
        assert_eq!(parse(text), Err(PhoneError::Invalid), "{text:?}");
    }
    assert_eq!(parse("010-62552266"), Err(PhoneError::NotMobile), "a landline in Beijing");
    assert_eq!(parse("+448001111"), Err(PhoneError::NotMobile), "toll-free");
}

#[test]
fn a_number_shows_itself_masked() {
    let number = PhoneNumber::parse("13800138000", region("CN")).expect("valid");
    assert_eq!(number.to_string(), "+86*******8000");
    assert_eq!(format!("{number:?}"), "PhoneNumber(+86*******8000)");
    assert_eq!((number.country_code(), number.national()), ("86", "13800138000"));
}

#[test]
fn what_a_job_holds_reads_back() {
    for text in
        ["+8613800138000", "+12025550123", "+447400123456", "+353851234567", "+989123456789"]
    {
        let parsed = PhoneNumber::parse(text, region("CN")).expect("a mobile number");
        assert_eq!(PhoneNumber::from_e164(text), Some(parsed), "{text}");
    }
    for text in [
        "",
        "+",
        "8613800138000",
        "+123456",
        "+1234567890123456",
        "+86138001380OO",
        "+8613800 138000",
    ] {
        assert_eq!(PhoneNumber::from_e164(text), None, "{text:?}");
    }
}

#[test]
fn country_codes_are_those_of_the_metadata() {
    for country_code in PHONE_NUMBER_UTIL.get_supported_calling_codes() {
        let country_code = country_code.to_string();
        assert_eq!(
            country_code_digits(&format!("{country_code}0000000")),
            country_code.len(),
            "{country_code}"
        );
    }
}

fn dialled(text: &str, from: &str) -> Result<String, PhoneError> {
    PhoneNumber::parse(text, region(from)).map(|number| number.e164().to_owned())
}

#[test]
fn a_region_has_international_prefixes_of_its_own() {
    for (from, text, number) in [
        ("HK", "001 65 8234 5681", "+6582345681"),
        ("SG", "001 65 8234 5682", "+6582345682"),
        ("KR", "001 65 8234 5683", "+6582345683"),
        ("AU", "0011 354 611 3409", "+3546113409"),
        ("TH", "009 1 868 291 1234", "+18682911234"),
        ("AU", "0011 86 138 0013 8002", "+8613800138002"),
        ("HK", "001 852 5123 4567", "+85251234567"),
        ("TW", "002 886 912 345 678", "+886912345678"),
        ("BR", "0021 55 11 96123 4567", "+5511961234567"),
        ("KH", "001 855 91 234 567", "+85591234567"),
        ("CO", "009 57 321 1234567", "+573211234567"),
        ("US", "011 86 138 0013 8003", "+8613800138003"),
        ("JP", "010 86 138 0013 8004", "+8613800138004"),
        // What is no prefix there is what it is nearly everywhere.
        ("US", "0044 7400 123456", "+447400123456"),
        ("HK", "0086 138 0013 8005", "+8613800138005"),
        ("SG", "0065 8234 5684", "+6582345684"),
    ] {
        assert_eq!(dialled(text, from).as_deref(), Ok(number), "{from} {text}");
    }
    assert_eq!(
        dialled("00 44 800 1111", "AU"),
        Err(PhoneError::NotMobile),
        "told of what is behind it"
    );
}

#[test]
fn what_is_put_around_and_between_digits_is_skipped() {
    let between = [
        '\t', '\u{a0}', '\u{2009}', '\u{202f}', '\u{3000}', '\u{85}', '\u{2028}', '-', '\u{2010}',
        '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2043}', '\u{2212}',
        '\u{30fc}', '\u{fe58}', '\u{fe63}', '\u{ff0d}', '.', '\u{ff0e}', '(', ')', '[', ']', '（',
        '）', '［', '］', '/', '／', '\u{ad}', '\u{61c}', '\u{200b}', '\u{200e}', '\u{200f}',
        '\u{202a}', '\u{202c}', '\u{202d}', '\u{2060}', '\u{2066}', '\u{2068}', '\u{2069}',
        '\u{feff}', '\u{fe0d}',
    ];
    for c in between {
        for text in [format!("{c}+86{c}138 0013 8000{c}"), format!("138{c}00138000{c}")] {
            assert_eq!(parse(&text).as_deref(), Ok("+8613800138000"), "{text:?}");
        }
    }
    for text in ["\u{202a}+86 138 0013 8000\u{202c}", "\u{2068}+86\u{2069} 138 0013 8000"] {
        assert_eq!(parse(text).as_deref(), Ok("+8613800138000"), "{text:?}");
    }
    for c in [
        '\u{202e}', '~', 'x', '\u{2053}', '\u{301}', ',', ';', '#', '*', '\0', '\u{180e}',
        '\u{ff5e}',
    ] {
        assert_eq!(parse(&format!("+86 138{c}00138000")), Err(PhoneError::Invalid), "{c:?}");
    }
}

#[test]
fn digits_of_every_script_are_digits() {
    for zero in ['०', '০', '๐', '၀', '٠', '۰', '０', '𝟎', '𝟘', '🯰', '߀', '᠐']
    {
        let written = |c: char| match c.to_digit(10) {
            Some(value) => char::from_u32(u32::from(zero) + value).expect("a digit"),
            None => c,
        };
        let text: String = "+86 138 0013 8000".chars().map(written).collect();
        assert_eq!(parse(&text).as_deref(), Ok("+8613800138000"), "{text}");
    }
    for c in ['①', '¹', 'Ⅰ', '一', '㈠', '⑴', '½', '𐄇'] {
        assert_eq!(parse(&format!("{c}3800138000")), Err(PhoneError::Invalid), "{c}");
    }
}

#[test]
fn a_number_in_the_form_that_it_had_before_is_the_one_that_it_has_now() {
    for (from, text, number) in [
        ("CN", "+52 1 55 5123 4567", "+525551234567"),
        ("CN", "0052 1 55 5123 4567", "+525551234567"),
        ("MX", "1 55 5123 4567", "+525551234567"),
        ("MX", "044 55 5123 4567", "+525551234567"),
        ("MX", "045 55 5123 4567", "+525551234567"),
        ("MX", "01 55 5123 4567", "+525551234567"),
        ("CN", "+52 55 5123 4567", "+525551234567"),
        ("CN", "+229 95 12 34 56", "+2290195123456"),
        ("BJ", "95 12 34 56", "+2290195123456"),
    ] {
        assert_eq!(dialled(text, from).as_deref(), Ok(number), "{from} {text}");
    }
    assert_eq!(parse("+54 11 2345 6789"), Err(PhoneError::ArgentinaWithoutNine));
    assert_eq!(dialled("11 2345 6789", "AR"), Err(PhoneError::ArgentinaWithoutNine));
    assert_eq!(dialled("011 15 2345 6789", "AR").as_deref(), Ok("+5491123456789"));
    assert_eq!(parse("+54 800 123 4567"), Err(PhoneError::NotMobile));
    assert_eq!(parse("+55 11 6123 4567"), Err(PhoneError::BrazilWithoutNine));
    assert_eq!(dialled("(11) 8123-4567", "BR"), Err(PhoneError::BrazilWithoutNine));
    assert_eq!(parse("+55 11 2345 6789"), Err(PhoneError::NotMobile), "a landline in São Paulo");
    for text in ["+52 1 55 5123 456", "+52 2 55 5123 4567", "+229 20 21 12 34", "+229 9512 345"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
