//! Constants that both stores share: written here, and given to the scripts as Lua.
//!
//! A script of Redis starts with the groups that it includes (see `redis/scripts.rs`), so that a
//! value stands in one place alone.

/// Declares a group: each constant in Rust, and all of them as lines of Lua.
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
    /// Those of the limits, as Lua.
    limits {
        /// How many values a limit has in a script's arguments.
        VALUES: usize = 5;

        /// What the conversion guard does where something is wrong, as scripts are told.
        OBSERVE: &str = "0";
        REFUSE: &str = "1";
        CHALLENGE: &str = "2";

        /// The time (s) that a code may take to be typed back.
        LAG: i64 = 120;
        /// Length (s) of a slot of time: the SMS of one are counted together.
        SLOT: i64 = 10;
        /// The time (s) in which a score halves.
        SCORE_HALF_LIFE: f64 = 86_400.0;
        /// The time (s) in which what the base rate is made of halves.
        BASE_HALF_LIFE: f64 = 604_800.0;
        /// The time (s) until an SMS may show that a prefix has recovered, or for which a country
        /// is suspicious. It doubles with each that is in vain.
        PROBE_WAIT: i64 = 7200;
        /// How often it doubles at most.
        MAX_DOUBLINGS: u32 = 3;
        /// The time (s) after which what was suspicious before no longer counts for that.
        DAY: i64 = 86_400;

        /// The times (s) for which what is known of a prefix and of a country is kept.
        PREFIX_KEPT: i64 = 4 * 86_400;
        COUNTRY_KEPT: i64 = 2 * 604_800;

        /// The share of a budget at which it is told how much is spent.
        ALARM_PERCENT: u64 = 80;
    }
}

lua_constants! {
    /// Those of the accounts at gateways, as Lua.
    accounts {
        /// Longest wait (ms) that is told while another message tries a gateway.
        HALF_OPEN_WAIT: i64 = 1000;
        /// The time (ms) for which an account is kept beyond its latest turn and its circuit.
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
