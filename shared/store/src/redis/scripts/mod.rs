//! The scripts of `store/scripts/`, assembled and hashed once: with the server's clock, and with a
//! virtual one.
//!
//! A script consists of the clock, its includes, and its own file of `commands/`. Those that limits
//! decide on have [variants](variants).

use std::sync::{Arc, LazyLock};

#[cfg(test)]
pub(super) use self::variants::Rule;
pub(super) use self::variants::Shape;
use self::variants::Variants;
use super::call::Script;
use crate::constants;

/// A file of `store/scripts/`, by its folder and name.
macro_rules! lua {
    ($folder:literal, $name:ident) => {
        include_str!(concat!("../../../scripts/", $folder, "/", stringify!($name), ".lua"))
    };
}

mod variants;

/// Declares the scripts with a fixed number of keys: the field, which is also the name of the file,
/// its includes (functions of [`includes`]), and the number of its keys; then those with limits:
/// the number of the keys and of the arguments before those of the limits.
macro_rules! scripts {
    (
        { $($name:ident [$($include:ident)*] $keys:literal;)* }
        limits { $($limited:ident [$($l_include:ident)*] $first_key:literal $first_arg:literal;)* }
    ) => {
        pub(super) struct Scripts {
            $(pub(super) $name: Arc<Script>,)*
            $(pub(super) $limited: Variants,)*
        }

        impl Scripts {
            fn new(clock: &'static str) -> Self {
                Self {
                    $($name: {
                        let includes: &[String] = &[$(includes::$include()),*];
                        let own = lua!("commands", $name);
                        Arc::new(Script::new([clock, &includes.concat(), own].concat(), $keys))
                    },)*
                    $($limited: {
                        let includes: &[String] = &[$(includes::$l_include()),*];
                        let own = lua!("commands", $limited);
                        let source = [clock, &includes.concat(), own].concat();
                        Variants::new(source, $first_key, $first_arg)
                    },)*
                }
            }
        }

        /// Each script's name, own text, number of fixed keys, and true if limits decide on it.
        #[cfg(test)]
        const DECLARED: &[(&str, &str, usize, bool)] = &[
            $((stringify!($name), lua!("commands", $name), $keys, false),)*
            $((stringify!($limited), lua!("commands", $limited), $first_key, true),)*
        ];
    };
}

scripts! {
    {
        count [limits text guard] 1;
        approve [limits text guard] 1;
        conversion [limits text guard] 1;
        put_plain [] 1;
        message [] 1;
        take_picture [] 1;
        claim [] 1;
        complete [] 1;
        find [messages record] 1;
        conclude [messages record] 1;
        acquire_lease [messages record] 1;
        record_outcome [record] 1;
        record_delivery_report [record] 1;
        permit [accounts] 1;
        report [accounts] 1;
        circuit [] 1;
        probe [] 1;
    }
    limits {
        admit [limits text record] 1 4;
        admit_message [limits messages text record] 1 5;
        release [limits messages text record] 1 1;
        check [limits text record] 1 3;
        consume [limits text record] 0 1;
    }
}

/// Includes of scripts: constants of Rust, and files of `includes/`.
mod includes {
    use super::constants;

    pub(super) fn limits() -> String {
        constants::limits()
    }

    pub(super) fn messages() -> String {
        constants::messages()
    }

    pub(super) fn accounts() -> String {
        constants::accounts()
    }

    pub(super) fn text() -> String {
        lua!("includes", text).to_owned()
    }

    pub(super) fn record() -> String {
        lua!("includes", record).to_owned()
    }

    pub(super) fn guard() -> String {
        lua!("includes", guard).to_owned()
    }
}

pub(super) static REAL: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(lua!("includes", clock)));
pub(super) static VIRTUAL: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::new(lua!("includes", virtual_clock)));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use sms_domain::conversion_test::CusumTest;
    use sms_domain::quota::{BudgetRule, NumberWindows, Quota, QuotaRule, Scope, Window};
    use sms_domain::verification::Policy;

    use super::*;

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(folder);
        let files = fs::read_dir(folder).expect("a folder");
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// The numbers in a text that `before` precedes and `after` follows.
    fn numbers(text: &str, before: &str, after: &str) -> BTreeSet<usize> {
        let parts = text.split(before).skip(1).filter_map(|rest| rest.split_once(after));
        parts.filter_map(|(number, _)| number.parse().ok()).collect()
    }

    fn code(source: &str) -> String {
        source.lines().filter(|line| !line.trim_start().starts_with("--")).collect()
    }

    #[test]
    fn each_script_uses_the_keys_that_it_declares() {
        for (name, source, keys, limited) in DECLARED {
            let highest = numbers(&code(source), "KEYS[", "]").last().copied().unwrap_or(0);
            let may_be_verified = usize::from(source.contains("VERIFIED"));
            assert!(highest <= keys + may_be_verified, "{name}: KEYS[{highest}]");
            assert!(*limited || highest == *keys, "{name}: KEYS[{highest}]");
        }
    }

    /// A proxy in front of a cluster reads the scripts, and takes no variable in a key's place.
    #[test]
    fn each_command_names_its_key_literally() {
        for path in ["commands", "includes", "limits"].into_iter().flat_map(files) {
            let source = code(&fs::read_to_string(&path).expect("text"));
            for call in source.replace("redis.pcall(", "redis.call(").split("redis.call('").skip(1)
            {
                let (command, rest) = call.split_once('\'').expect("a command");
                let is_literal = command == "TIME"
                    || [", KEYS[", ", ALL_KEYS"].iter().any(|key| rest.starts_with(key));
                assert!(is_literal, "{}: {command}{rest:.20}", path.display());
            }
        }
    }

    #[test]
    fn a_variant_names_each_key_literally_and_replaces_every_call() {
        let second = Duration::from_secs(1);
        let quota = |rule| Quota { scope: Scope::Total, subject: String::new(), rule };
        let window = Window { max: 1, period: second };
        let budget = BudgetRule { price: 1, soft_cap: 1, hard_cap: 1, period: second };
        let quotas = [
            quota(QuotaRule::Rate(window)),
            quota(QuotaRule::Budget(budget)),
            quota(QuotaRule::Conversion(CusumTest::default())),
            quota(QuotaRule::Country(CusumTest::default())),
            quota(QuotaRule::Number(NumberWindows::new([window]).halved())),
        ];
        for verified in [false, true] {
            let (policy, windows, quotas) = (Policy::default(), &[window, window], &quotas);
            let shape = Shape { policy: &policy, windows, quotas, verified, defers: true };
            for (variants, keys) in [
                (&REAL.admit, 1),
                (&REAL.admit_message, 1),
                (&REAL.release, 1),
                (&REAL.check, 1),
                (&REAL.consume, 0),
            ] {
                let source = code(variants.of(&shape).source());
                let keys = keys + usize::from(verified) + quotas.len();
                assert_eq!(numbers(&source, "KEYS[", "]").last(), Some(&keys));
                let left = ["__", "_LIMITS()", "_WINDOWS()", "ALL_KEYS"];
                assert!(left.iter().all(|one| !source.contains(one)), "{source}");
            }
        }
    }

    #[test]
    fn each_file_is_declared_and_says_what_it_takes() {
        let declared: BTreeSet<&str> = DECLARED.iter().map(|(name, ..)| *name).collect();
        let there = files("commands");
        let there: BTreeSet<&str> =
            there.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
        assert_eq!(declared, there);
        for (name, source, ..) in DECLARED {
            assert!(source.contains("\n-- KEYS     "), "{name} has no line for its keys");
        }
    }

    /// The commands that a script sends.
    fn commands(source: &str) -> impl Iterator<Item = String> {
        source
            .split("redis.call('")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('\'')?.0.to_lowercase()))
    }

    #[test]
    fn the_probe_uses_each_command_that_the_scripts_use() {
        let all: String = ["commands", "includes", "limits"]
            .into_iter()
            .flat_map(files)
            .map(|path| fs::read_to_string(path).expect("text"))
            .collect();
        let needed: BTreeSet<String> = commands(&all).collect();
        let probe = [lua!("includes", clock), lua!("commands", probe)].concat();
        assert_eq!(commands(&probe).collect::<BTreeSet<_>>(), needed);
        let others = ["eval", "evalsha", "info", "client|setname"];
        let rights =
            crate::redis::causes::RIGHTS.split(' ').filter_map(|right| right.strip_prefix('+'));
        assert_eq!(
            rights.map(str::to_owned).collect::<BTreeSet<_>>(),
            needed.into_iter().chain(others.map(str::to_owned)).collect()
        );
    }
}
