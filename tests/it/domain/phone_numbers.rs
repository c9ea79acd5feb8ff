//! The parser held against the reference: `tests/phone_numbers.py`, with PyPI's phonenumbers of the
//! same metadata.

use std::collections::HashSet;
use std::process::Command;
use std::thread;
use std::time::Instant;

use sms_domain::phone::{Countries, Country, PhoneNumber, Region};

/// Fewer cases than these would mean that something was not asked.
const PREFIXES: usize = 85_000;
const TYPES: usize = 6_500;
const OWN: usize = 9_000;

/// Output of the reference implementation on one of its subjects.
fn reference(subject: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phone_numbers.py");
    let output = Command::new("python")
        .args([script, subject])
        .output()
        .expect("python, as tests/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A text in a region, and what the reference reads in it.
struct Case<'a> {
    region: Region,
    text: &'a str,
    /// The number, and where it belongs.
    expected: Option<(&'a str, &'a str)>,
}

impl<'a> Case<'a> {
    fn of(line: &'a str) -> Self {
        let [region, text, number, place] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let region = Region::parse(region).expect(region);
        Self { region, text, expected: (number != "-").then_some((number, place)) }
    }

    fn read(&self) -> Option<(PhoneNumber, Country)> {
        PhoneNumber::parse_with_country(self.text, self.region).ok()
    }

    /// The difference from the reference, if there is one.
    fn judge(&self) -> Option<String> {
        let read = self.read();
        let read = read.as_ref().map(|(number, country)| (number.e164(), country.code()));
        let wrong = match (self.expected, read) {
            (None, Some((number, _))) => !self.is_behind_zeros(number),
            (expected, read) => expected != read,
        };
        wrong.then(|| format!("{:?} {}: {read:?} is {:?}", self.region, self.text, self.expected))
    }

    /// A text that is no number as it is dialled may be one with `00` for the international prefix,
    /// and that one only.
    fn is_behind_zeros(&self, number: &str) -> bool {
        let international = self.text.strip_prefix("00").map(|rest| format!("+{rest}"));
        let behind = international.and_then(|text| PhoneNumber::parse(&text, self.region).ok());
        behind.is_some_and(|behind| behind.e164() == number)
    }
}

/// Compares all that the reference says of a subject, on both of this machine's halves.
fn compare(subject: &str, least: usize) -> String {
    let began = Instant::now();
    let said = reference(subject);
    let asked = began.elapsed();
    let lines: Vec<&str> = said.lines().collect();
    let judge =
        |lines: &[&str]| lines.iter().filter_map(|line| Case::of(line).judge()).collect::<Vec<_>>();
    let (left, right) = lines.split_at(lines.len() / 2);
    let wrong = thread::scope(|scope| {
        let other = scope.spawn(|| judge(left));
        [judge(right), other.join().expect("no panic")].concat()
    });
    println!(
        "{subject}: {} cases compared, {asked:.1?} to ask and {:.1?} in all",
        lines.len(),
        began.elapsed()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}: {:#?}",
        wrong.len(),
        lines.len(),
        &wrong[..wrong.len().min(20)]
    );
    assert!(lines.len() >= least, "{} cases", lines.len());
    said
}

#[test]
fn dialling_prefixes_are_read_as_the_reference_reads_them() {
    compare("prefixes", PREFIXES);
}

#[test]
fn number_types_are_accepted_or_refused_as_the_reference_says() {
    let said = compare("types", TYPES);
    // The page lists the same regions, with their calling codes.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages/countries.js");
    let page = std::fs::read_to_string(page).expect("the page's list");
    let listed: Vec<&str> = page.split('`').nth(1).expect("the list").split_whitespace().collect();
    let in_any_region = ('A'..='Z').flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}")));
    let regions: Vec<String> = in_any_region.filter(|code| Region::parse(code).is_some()).collect();
    assert!(listed.iter().map(|entry| &entry[..2]).eq(regions.iter()), "{listed:?}");
    for (region, text) in said.lines().map(Case::of).map(|case| (case.region.code(), case.text)) {
        let entry = listed.iter().find(|entry| entry.starts_with(region)).expect("listed");
        assert!(!text.starts_with('+') || text[1..].starts_with(&entry[2..]), "{entry}: {text}");
    }
}

#[test]
fn mobile_numbers_of_a_region_are_admitted_where_it_is_the_default() {
    let said = compare("own", OWN);
    let taken =
        || said.lines().map(Case::of).filter_map(|case| Some((case.region.code(), case.read()?.1)));
    for (region, country) in taken() {
        let region = Region::parse(region).expect("a region");
        assert!(Countries::only(region).contains(country), "{region:?} has numbers of {country:?}");
    }
    let with_their_own: HashSet<&str> = taken()
        .filter(|(region, country)| country.code() == *region)
        .map(|(region, _)| region)
        .collect();
    for region in
        taken().map(|(region, _)| region).filter(|region| !with_their_own.contains(region))
    {
        assert!(
            Region::parse(region).and_then(Region::within).is_some(),
            "{region} has no numbers of its own"
        );
    }
}

#[test]
fn landlines_that_look_mobile_are_documented() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/abuse.md"))
            .expect("the document");
    let regions = reference("both");
    assert!(
        document.contains(regions.trim()),
        "docs/operations/abuse.md has another list than {regions}"
    );
}
