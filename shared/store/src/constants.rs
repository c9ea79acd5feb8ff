//! Constants that both stores share: declared here, and passed to the scripts as Lua.
//!
//! Each Redis script starts with the groups that it includes (see `redis/scripts/`), so that a
//! value is declared once.

/// Declares a group: each constant in Rust, and a function that returns them as Lua.
macro_rules! lua_constants {
    ($(#[$about:meta])* $group:ident {
        $($(#[$doc:meta])* $name:ident: $type:ty = $value:expr;)*
    }) => {
        $($(#[$doc])* pub(super) const $name: $type = $value;)*

        $(#[$about])*
        pub(super) fn $group() -> String {
            [$(format!(concat!("local ", stringify!($name), " = {:?}\n"), $name)),*].concat()
        }
    };
}

lua_constants! {
    /// Constants of the limits, as Lua.
    limits {
        /// Actions of the conversion guard, as in a script's arguments.
        OBSERVE: &str = "0";
        REFUSE: &str = "1";
        CHALLENGE: &str = "2";

        /// Longest time (s) for a code to be typed back: after it, an SMS counts as a miss.
        LAG: i64 = 120;
        /// Length (s) of a time slot: its SMS are counted together.
        SLOT: i64 = 10;
        /// Half-life (s) of a score.
        SCORE_HALF_LIFE: f64 = 86_400.0;
        /// Half-life (s) of the counts that the base rate is computed from.
        BASE_HALF_LIFE: f64 = 604_800.0;
        /// Wait (s) before an abused prefix is probed with an SMS, and time for which a country is
        /// suspicious. It doubles after each failed probe.
        PROBE_WAIT: i64 = 7200;
        /// Highest number of doublings of that wait.
        MAX_DOUBLINGS: u32 = 3;
        /// Time (s) after which a country's earlier alarms no longer double its wait.
        DAY: i64 = 86_400;

        /// Times (s) for which the guard keeps the state of a prefix and of a country.
        PREFIX_KEPT: i64 = 4 * 86_400;
        COUNTRY_KEPT: i64 = 2 * 604_800;

        /// Share of a budget, in percent, whose spending raises an alarm.
        ALARM_PERCENT: u64 = 80;
    }
}

lua_constants! {
    /// Constants of messages, as Lua.
    messages {
        /// Time (ms) after its admission within which a message's job is queued, if at all.
        QUEUED_WITHIN: i64 = 10_000;
        /// The beginning of a message's scope.
        MESSAGE_SCOPE: &str = "message/";
    }
}

lua_constants! {
    /// Constants of the accounts at gateways, as Lua.
    accounts {
        /// Longest wait (ms) that is returned while the circuit is half open.
        HALF_OPEN_WAIT: i64 = 1000;
        /// Time (ms) for which an account is kept beyond its latest rate slot and its circuit.
        ACCOUNT_KEPT: i64 = 600_000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constant_is_a_line_of_lua() {
        let lua = limits();
        for line in ["local LAG = 120", "local OBSERVE = \"0\"", "local BASE_HALF_LIFE = 604800.0"]
        {
            assert!(lua.lines().any(|one| one == line), "{line} is missing in\n{lua}");
        }
    }
}
