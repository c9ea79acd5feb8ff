//! Countries, and global networks such as satellite ones, that numbers belong to.

use std::fmt;
use std::sync::Arc;

use rlibphonenumber::enums::Region as Alpha2;

/// Countries whose numbers are known. With this list a region is checked without the metadata,
/// which takes several milliseconds of a cold start to load. (A test compares both.)
const REGIONS: &str = "\
    AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC \
    EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK \
    HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB \
    LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY \
    MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT PW PY QA RE RO RS \
    RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TG TH TJ TK TL \
    TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Regions without mobile numbers of their own: each shares the calling code and the ranges of
/// another country, which all its mobile numbers are counted to. (A test compares this with the
/// metadata.)
const WITHIN: [(Alpha2, Alpha2); 9] = [
    (Alpha2::AX, Alpha2::FI),
    (Alpha2::BL, Alpha2::GP),
    (Alpha2::CC, Alpha2::AU),
    (Alpha2::CX, Alpha2::AU),
    (Alpha2::EH, Alpha2::MA),
    (Alpha2::MF, Alpha2::GP),
    (Alpha2::SJ, Alpha2::NO),
    (Alpha2::TA, Alpha2::SH),
    (Alpha2::VA, Alpha2::IT),
];

/// Regions that share only some ranges with another country: on the Isle of Man, some operators
/// have British ones.
const PARTLY_WITHIN: [(Alpha2, Alpha2); 1] = [(Alpha2::IM, Alpha2::GB)];

/// Calling codes of global networks, which belong to no country (ITU-T E.164: satellites, worldwide
/// services). (A test compares this with the metadata.)
const NETWORKS: [&str; 9] =
    ["+800", "+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979"];

/// The country in which a number without `+` is read, as its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region(pub Alpha2);

impl Region {
    /// Reads a two-letter code such as `CN`, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code = text.to_ascii_uppercase();
        REGIONS.split(' ').find(|known| *known == code)?;
        Alpha2::from_code(&code).ok().map(Self)
    }

    /// The two-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        let code = self.0.as_region_str();
        // Two letters and a space each, sorted; the last one, without a space, is the remainder.
        let (known, _) = REGIONS.as_bytes().as_chunks::<3>();
        let (Ok(index) | Err(index)) =
            known.binary_search_by(|known| known[..2].cmp(code.as_bytes()));
        REGIONS.get(3 * index..3 * index + 2).unwrap_or_default()
    }

    /// The country that all mobile numbers of this region are counted to, if it has none of its
    /// own.
    #[must_use]
    pub fn within(self) -> Option<Self> {
        main_country(&WITHIN, self.0)
    }

    /// The country that all or some mobile numbers of this region are counted to.
    fn partly_within(self) -> Option<Self> {
        self.within().or_else(|| main_country(&PARTLY_WITHIN, self.0))
    }
}

fn main_country(table: &[(Alpha2, Alpha2)], region: Alpha2) -> Option<Region> {
    table.iter().find(|(within, _)| *within == region).map(|(_, main)| Region(*main))
}

impl Default for Region {
    fn default() -> Self {
        Self(Alpha2::CN)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_region_str())
    }
}

/// A country, or a global network, which has a calling code of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(Place);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Region(Region),
    Network(&'static str),
}

impl Country {
    /// Reads a two-letter code such as `CN`, in either case, or a network's calling code such as
    /// `+881`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('+') {
            return Region::parse(text).map(Self::from);
        }
        NETWORKS.into_iter().find(|known| *known == text).map(Place::Network).map(Self)
    }

    /// The two-letter code, or the calling code with its `+`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self.0 {
            Place::Region(region) => region.code(),
            Place::Network(code) => code,
        }
    }

    /// Returns true for a global network.
    #[must_use]
    pub fn is_network(self) -> bool {
        matches!(self.0, Place::Network(_))
    }

    /// The country, or the network of this calling code, for a region of the metadata.
    pub fn of(region: Alpha2, calling_code: i32) -> Option<Self> {
        match region {
            Alpha2::World => {
                let is_its = |known: &&str| known[1..].parse() == Ok(calling_code);
                NETWORKS.into_iter().find(is_its).map(Place::Network).map(Self)
            }
            region => Some(Region(region).into()),
        }
    }
}

impl From<Region> for Country {
    fn from(region: Region) -> Self {
        Self(Place::Region(region))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// `ALLOWED_COUNTRIES`: the countries that codes are sent to. A list such as `CN, HK`, or `all`
/// countries; a global network only if it is named: `all, +881`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countries {
    every_country: bool,
    named: Arc<[Country]>,
}

impl Countries {
    /// Every country.
    #[must_use]
    pub fn all() -> Self {
        Self { every_country: true, named: Arc::new([]) }
    }

    /// One country, and the one that its numbers are counted to, if there is one.
    #[must_use]
    pub fn only(region: Region) -> Self {
        Self { every_country: false, named: with_main(region.into()).collect() }
    }

    /// Reads a list; `None` if a part of it is neither a country nor a network.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (all, named): (Vec<&str>, Vec<&str>) =
            text.split(',').map(str::trim).partition(|item| *item == ALL);
        let named = named.into_iter().map(Country::parse).collect::<Option<Vec<_>>>()?;
        let every_country = !all.is_empty();
        // A country beside `all` contradicts it.
        if all.len() > 1 || (every_country && named.iter().any(|country| !country.is_network())) {
            return None;
        }
        Some(Self { every_country, named: named.into_iter().flat_map(with_main).collect() })
    }

    /// Returns true if codes are sent to the country.
    #[must_use]
    pub fn contains(&self, country: Country) -> bool {
        (self.every_country && !country.is_network()) || self.named.contains(&country)
    }

    /// Codes of the listed countries and networks; `None` if it is every country.
    #[must_use]
    pub fn codes(&self) -> Option<Vec<&'static str>> {
        (!self.every_country).then(|| self.named.iter().map(|country| country.code()).collect())
    }
}

/// The word for every country.
const ALL: &str = "all";

/// A country, and the one that its numbers are counted to: its people have numbers of that one.
fn with_main(country: Country) -> impl Iterator<Item = Country> {
    let main = match country.0 {
        Place::Region(region) => region.partly_within().map(Country::from),
        Place::Network(_) => None,
    };
    [country].into_iter().chain(main)
}

#[cfg(test)]
mod tests {
    use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};

    use super::*;
    use crate::phone::PhoneNumber;

    fn country(text: &str) -> &'static str {
        let (_, country) = PhoneNumber::parse_with_country(text, Region::default()).expect(text);
        country.code()
    }

    fn allows(list: &str, code: &str) -> bool {
        Countries::parse(list).expect(list).contains(Country::parse(code).expect(code))
    }

    #[test]
    fn countries_that_share_a_calling_code_are_told_apart() {
        assert_eq!(country("13800138000"), "CN");
        assert_eq!(
            ["+12025550123", "+14165550123", "+18765550123"].map(country),
            ["US", "CA", "JM"]
        );
        assert_eq!(["CN", "CA", "US"].map(|code| allows("CN, ca", code)), [true, true, false]);
        assert!(allows("all", "CN"));
        let wrong = [
            "", "CN,", "China", "all, CN", "all,all", "+99", "+86", "881", "+881,", "all, +99",
            "+0881",
        ];
        assert!(wrong.iter().all(|text| Countries::parse(text).is_none()));
    }

    #[test]
    fn networks_that_are_no_country_are_allowed_only_by_name() {
        let satellites =
            [("+881 6 31012345", "+881"), ("+870 773 111 632", "+870"), ("+882 34 21234", "+882")];
        for (text, code) in satellites {
            assert_eq!(country(text), code, "{text}");
            assert!(!allows("all", code) && !allows("CN", code), "{code}");
            assert!(
                allows(&format!("all, {code}"), code) && allows(&format!("CN,{code}"), code),
                "{code}"
            );
        }
        assert!(
            allows("all, +881", "US") && !allows("all, +881", "+870") && !allows("CN,+881", "US")
        );
        let codes = |list| Countries::parse(list).expect("a list").codes();
        assert_eq!(codes("CN,+881"), Some(vec!["CN", "+881"]));
        assert_eq!(codes("all,+881"), None);
        let known = PHONE_NUMBER_UTIL.get_supported_global_network_calling_codes();
        assert!(
            known
                .into_iter()
                .all(|code| Country::parse(&format!("+{code}")).is_some_and(Country::is_network))
        );
        assert_eq!(
            PHONE_NUMBER_UTIL.get_supported_global_network_calling_codes().count(),
            NETWORKS.len()
        );
    }

    #[test]
    fn a_region_without_numbers_of_its_own_has_those_of_another() {
        for region in REGIONS.split(' ').map(|code| Region::parse(code).expect(code)) {
            let example = PHONE_NUMBER_UTIL
                .get_example_number_for_type_and_region(region.0, PhoneNumberType::Mobile);
            let counted = example.ok().and_then(|number| number.get_region_code());
            let main = PHONE_NUMBER_UTIL.get_country_code_for_region(region.0).expect("a code");
            let main = PHONE_NUMBER_UTIL.get_region_for_country_code(main);
            let within = if counted == Some(region.0) { None } else { main.map(Region) };
            assert_eq!(region.partly_within(), within, "{region:?}");
        }
        let within = [
            "AX FI", "BL GP", "MF GP", "CC AU", "CX AU", "EH MA", "SJ NO", "VA IT", "TA SH",
            "IM GB",
        ];
        for pair in within.map(|pair| pair.split_once(' ').expect("two")) {
            let region = Region::parse(pair.0).expect("a region");
            let main = Country::parse(pair.1).expect("a country");
            assert!(
                Countries::only(region).contains(main) && allows(&format!("CN,{}", pair.0), pair.1),
                "{pair:?}"
            );
            assert!(!allows(pair.1, pair.0), "but not the other way round");
        }
        assert_eq!(
            Countries::only(Region::parse("AX").expect("a region")).codes(),
            Some(vec!["AX", "FI"])
        );
        let manx = ["+44 7624 123456", "+44 7924 123456"].map(country);
        assert_eq!(manx, ["IM", "GB"], "of the Isle of Man, both");
        assert_eq!(Region::parse("IM").and_then(Region::within), None);
    }

    #[test]
    fn regions_are_those_of_the_metadata() {
        let mut known = REGIONS.split(' ');
        for code in ('A'..='Z').flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}"))) {
            let alpha2 = Alpha2::from_code(&code).expect("two letters");
            if PHONE_NUMBER_UTIL.get_country_code_for_region(alpha2).is_some() {
                assert_eq!(known.next(), Some(code.as_str()));
            }
        }
        assert_eq!(known.next(), None);
    }

    #[test]
    fn a_region_is_a_country_with_a_calling_code() {
        assert_eq!(Region::parse("cn").map(Region::code), Some("CN"));
        for text in ["", "C", "CHN", "ZZ", "86", "中国", "+881"] {
            assert!(Region::parse(text).is_none(), "{text:?}");
        }
    }
}
