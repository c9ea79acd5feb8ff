//! The scripts of `store/scripts/`, assembled and hashed once: with the server's clock, and with a
//! virtual one.
//!
//! A script consists of the clock, its includes, and its own file of `commands/`. One that limits
//! decide on has a variant for each sequence of limits: there the blocks of `limits/` stand in
//! place of the calls `EVALUATE_LIMITS()`, `COMMIT_LIMITS()` and `REFUND_LIMITS()`, one for each
//! limit. So nothing is done for a rule that is not there, and each key stands literally as
//! `KEYS[n]`, as proxies of clusters require it.

use std::sync::{Arc, LazyLock, Mutex};

use sms_domain::quota::{Quota, QuotaRule};
use sms_domain::sync::lock;

use super::connection::Script;
use crate::constants;

/// A file of `store/scripts/`, by its folder and name.
macro_rules! lua {
    ($folder:literal, $name:ident) => {
        include_str!(concat!("../../scripts/", $folder, "/", stringify!($name), ".lua"))
    };
}

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
                    $($limited: Variants {
                        source: [
                            clock,
                            &[$(includes::$l_include()),*].concat(),
                            lua!("commands", $limited),
                        ]
                        .concat(),
                        keys: $first_key,
                        args: $first_arg,
                        made: Mutex::default(),
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
        find [record] 1;
        cancel [record] 1;
        acquire_lease [record] 1;
        record_outcome [record] 1;
        record_delivery_report [record] 1;
        permit [accounts] 1;
        report [accounts] 1;
        circuit [] 1;
        probe [] 1;
    }
    limits {
        admit [limits text record] 1 11;
        release [limits text record] 1 2;
        check [limits text record] 1 6;
        consume [limits text] 0 1;
    }
}

/// Includes of scripts: constants of Rust, and files of `includes/`.
mod includes {
    use super::constants;

    pub(super) fn limits() -> String {
        constants::limits()
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

/// A script that limits decide on, in a variant for each sequence of limits that was needed so far.
pub(super) struct Variants {
    /// The text, in which the calls that stand for the limits are not replaced yet.
    source: String,
    keys: usize,
    args: usize,
    made: Mutex<Vec<Variant>>,
}

struct Variant {
    uses: Uses,
    rules: Vec<Rule>,
    script: Arc<Script>,
}

/// Uses of a script besides its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Uses {
    /// The second key is the end of the number's time as verified before.
    pub(super) verified: bool,
    /// The caller counts the SMS of prefixes and countries where nothing is suspicious.
    pub(super) defers: bool,
}

/// The rule of a limit, as far as a script depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Rate,
    Budget,
    Conversion,
    Country,
}

impl Rule {
    pub(super) fn of(quota: &Quota) -> Self {
        match quota.rule {
            QuotaRule::Rate(_) => Self::Rate,
            QuotaRule::Budget(_) => Self::Budget,
            QuotaRule::Conversion(_) => Self::Conversion,
            QuotaRule::Country(_) => Self::Country,
        }
    }

    fn is_guard(self) -> bool {
        matches!(self, Self::Conversion | Self::Country)
    }

    /// Number of its values in a script's arguments.
    pub(super) fn values(self) -> usize {
        if self == Self::Rate { 2 } else { 4 }
    }
}

impl Variants {
    /// The script for these limits.
    pub(super) fn of(&self, uses: Uses, quotas: &[Quota]) -> Arc<Script> {
        let mut made = lock(&self.made);
        let is_it = |variant: &&Variant| {
            variant.uses == uses && variant.rules.iter().copied().eq(quotas.iter().map(Rule::of))
        };
        if let Some(variant) = made.iter().find(is_it) {
            return Arc::clone(&variant.script);
        }
        let rules: Vec<Rule> = quotas.iter().map(Rule::of).collect();
        let script = Arc::new(self.make(uses, &rules));
        made.push(Variant { uses, rules, script: Arc::clone(&script) });
        script
    }

    fn make(&self, uses: Uses, rules: &[Rule]) -> Script {
        let first_key = 1 + self.keys + usize::from(uses.verified);
        let keys = first_key - 1 + rules.len();
        let names: Vec<String> = (1..=keys).map(|key| format!("KEYS[{key}]")).collect();
        let blocks = Blocks::new(rules, first_key, self.args + 1);
        let source = self
            .source
            .replace("EVALUATE_LIMITS()", &blocks.evaluate())
            .replace("COMMIT_LIMITS()", &blocks.commit())
            .replace("REFUND_LIMITS()", &blocks.refund())
            .replace("ALL_KEYS", &names.join(", "))
            .replace("WINDOWS_ARG", &blocks.next_arg.to_string())
            .replace("VERIFIED", if uses.verified { "true" } else { "false" })
            .replace("DEFERS", if uses.defers { "true" } else { "false" });
        Script::new(source, keys)
    }
}

/// The blocks of `limits/` for a sequence of limits.
struct Blocks<'a> {
    rules: &'a [Rule],
    first_key: usize,
    first_arg: usize,
    /// Index of the argument after those of the limits.
    next_arg: usize,
}

impl<'a> Blocks<'a> {
    fn new(rules: &'a [Rule], first_key: usize, first_arg: usize) -> Self {
        let values: usize = rules.iter().map(|rule| rule.values()).sum();
        Self { rules, first_key, first_arg, next_arg: first_arg + values }
    }

    /// Text of the blocks that `block` returns for each rule.
    fn text(&self, block: impl Fn(Rule) -> &'static str) -> String {
        let (mut arg, mut text) = (self.first_arg, String::new());
        for (limit, rule) in self.rules.iter().enumerate() {
            let is_country = *rule == Rule::Country;
            text += &block(*rule)
                .replace("__limit", &limit.to_string())
                .replace("__key", &(self.first_key + limit).to_string())
                .replace("__arg", &arg.to_string())
                .replace("__country", if is_country { "true" } else { "false" });
            arg += rule.values();
        }
        text
    }

    fn evaluate(&self) -> String {
        let limits = self.text(|rule| match rule {
            Rule::Rate => lua!("limits", rate_evaluate),
            Rule::Budget => lua!("limits", budget_evaluate),
            Rule::Conversion | Rule::Country => lua!("limits", guard_calm),
        });
        if !self.rules.iter().any(|rule| rule.is_guard()) {
            return self.with_budgets(&limits);
        }
        // The functions of the guard are made only where they are needed.
        let guards =
            self.text(|rule| if rule.is_guard() { lua!("limits", guard_evaluate) } else { "" });
        let guards = ["if not calm then\n", lua!("includes", guard), &guards, "end\n"].concat();
        self.with_budgets(&(limits + &guards))
    }

    fn commit(&self) -> String {
        self.text(|rule| match rule {
            Rule::Rate => lua!("limits", rate_commit),
            Rule::Budget => lua!("limits", budget_commit),
            Rule::Conversion | Rule::Country => lua!("limits", guard_commit),
        })
    }

    fn refund(&self) -> String {
        let limits = self.text(|rule| match rule {
            Rule::Rate => lua!("limits", rate_refund),
            Rule::Budget => lua!("limits", budget_refund),
            Rule::Conversion | Rule::Country => lua!("limits", guard_refund),
        });
        let has_guard = self.rules.iter().any(|rule| rule.is_guard());
        let guard = if has_guard { lua!("includes", guard) } else { "" };
        self.with_budgets(&[guard, &limits].concat())
    }

    fn with_budgets(&self, blocks: &str) -> String {
        let functions =
            if self.rules.contains(&Rule::Budget) { lua!("includes", budget) } else { "" };
        [functions, blocks].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

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

    const RULES: [Rule; 4] = [Rule::Rate, Rule::Budget, Rule::Conversion, Rule::Country];

    #[test]
    fn a_variant_names_each_key_literally_and_replaces_every_call() {
        for verified in [false, true] {
            let uses = Uses { verified, defers: true };
            for variants in [&REAL.admit, &REAL.release, &REAL.check, &REAL.consume] {
                let script = variants.make(uses, &RULES);
                let source = code(script.source());
                let keys = variants.keys + usize::from(verified) + RULES.len();
                assert_eq!(numbers(&source, "KEYS[", "]").last(), Some(&keys));
                let left = ["__", "_LIMITS", "ALL_KEYS", "WINDOWS_ARG", "VERIFIED", "DEFERS"];
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
        let named: BTreeSet<String> =
            crate::redis::causes::COMMANDS.split(' ').map(str::to_owned).collect();
        assert_eq!(
            named,
            needed.into_iter().chain(["eval", "evalsha"].map(str::to_owned)).collect()
        );
    }
}
