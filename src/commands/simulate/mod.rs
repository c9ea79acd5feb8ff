//! `simulate`: a day of people and attackers through the real admission, with a virtual clock: with
//! the cooldown only, with the limits, with the conversion guard as well, and so on.

mod actors;
mod database;
mod plot;
mod world;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use sms_app::abuse_settings::AbuseSettings;
use sms_app::challenge::Challenge;
use sms_app::conversion_guard::ConversionGuard;
use sms_config::{Setting, environment, settings};
use sms_domain::budget::Budget;
use sms_domain::conversion_test::GuardMode;
use sms_domain::limits::Limits;
use sms_domain::phone::{Countries, Region};
use sms_domain::verification::Policy;
use sms_store::Store;

use self::actors::Attack;
use self::database::Database;
use self::plot::plot;
use self::world::{Outcome, World};
use crate::cli::Simulation;

/// The proof of work with less work: its cost to a bot is not simulated.
const CHALLENGE: &str = "pow://default?effort=10";

/// A layer of protection between an attacker and the gateway, with all of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Layer {
    /// The tutorial's throttle: one SMS to a number in a minute.
    Cooldown,
    Limits,
    ConversionGuard,
    Challenge,
    /// The challenge, against bots that solve it.
    Solved,
    Budget,
}

impl Layer {
    const ALL: [Self; 6] = [
        Self::Cooldown,
        Self::Limits,
        Self::ConversionGuard,
        Self::Challenge,
        Self::Solved,
        Self::Budget,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown alone",
            Self::Limits => "with limits",
            Self::ConversionGuard => "with the guard",
            Self::Challenge => "with challenges",
            Self::Solved => "bots solve them",
            Self::Budget => "with the budget",
        }
    }
}

/// The settings that the simulation reads.
struct Settings {
    limits: Limits,
    budget: Budget,
}

impl Settings {
    /// Reads the settings. Everybody is in one country, where an SMS has this price.
    fn read(price: f64) -> Result<Self, Box<dyn Error>> {
        let read = |setting: &Setting| setting.read(&environment).unwrap_or_default();
        let prices = match read(&settings::PRICES) {
            prices if prices.is_empty() => format!("{}={price}", Region::default().code()),
            prices => prices,
        };
        Ok(Self {
            limits: Limits::parse(&read(&settings::LIMITS))
                .map_err(|error| format!("LIMITS {error}"))?,
            budget: Budget::parse(&read(&settings::BUDGET), &prices)
                .map_err(|error| format!("{} {error}", error.variable()))?,
        })
    }

    /// The layers to simulate: that of the budget only if one is configured.
    fn layers(&self) -> Vec<Layer> {
        Layer::ALL
            .into_iter()
            .filter(|layer| *layer != Layer::Budget || self.budget.is_set())
            .collect()
    }

    fn defence(&self, layer: Layer) -> Result<AbuseSettings, Box<dyn Error>> {
        let challenge = if layer >= Layer::Challenge { Challenge::parse(CHALLENGE)? } else { None };
        let guard =
            if layer >= Layer::ConversionGuard { GuardMode::Enforce } else { GuardMode::Off };
        Ok(AbuseSettings {
            limits: if layer >= Layer::Limits { self.limits.clone() } else { Limits::none() },
            countries: Countries::only(Region::default()),
            guard: ConversionGuard::new(guard),
            challenge,
            budget: if layer >= Layer::Budget { self.budget.clone() } else { Budget::none() },
        })
    }
}

/// One attack, with its outcome behind each layer.
struct Row {
    attack: Attack,
    outcomes: Vec<(Layer, Outcome)>,
}

/// Runs all attacks behind all layers, and prints the outcomes.
#[expect(clippy::print_stdout, reason = "the command's result")]
pub async fn run(simulation: Simulation) -> Result<(), Box<dyn Error>> {
    let Simulation { seed, people, price, only, redis, svg } = simulation;
    let settings = Settings::read(price)?;
    let drawing = svg.map(|path| {
        File::create(&path).map_err(|error| svg_error(&path, &error)).map(|file| (path, file))
    });
    let drawing = drawing.transpose()?;
    let database = match redis {
        Some(url) => Some(Database::connect(url.as_str()).await?),
        None => None,
    };
    if let Some(only) = &only
        && !Attack::ALL.into_iter().any(|attack| attack.name().contains(only))
    {
        let names: Vec<&str> = Attack::ALL.into_iter().map(Attack::name).collect();
        return Err(
            format!("no attack has {only} in its name: there are {}", names.join(", ")).into()
        );
    }
    println!("seed {seed}, {people} people a day, {price} USD for an SMS\n");
    println!(
        "| attack | | SMS to it | lost, USD | less | stopped first after | people refused | \
         challenges to people | codes compared |"
    );
    let mut rows = Vec::new();
    for attack in Attack::ALL
        .into_iter()
        .filter(|attack| only.as_ref().is_none_or(|only| attack.name().contains(only)))
    {
        let mut outcomes: Vec<(Layer, Outcome)> = Vec::new();
        for layer in settings.layers() {
            let store = match &database {
                Some(database) => database.store()?,
                None => Store::memory(policy()),
            };
            let outcome = simulate(
                World::new(seed, store, settings.defence(layer)?)?,
                attack,
                layer,
                seed,
                people,
            )
            .await;
            if let Some(database) = &database {
                database.empty().await?;
            }
            let outcome = outcome?;
            let without = outcomes.first().map_or(outcome.sent, |(_, first)| first.sent);
            println!("{}", line(attack, layer, &outcome, without, people, price));
            outcomes.push((layer, outcome));
        }
        rows.push(Row { attack, outcomes });
    }
    if let Some((path, mut file)) = drawing {
        file.write_all(plot(&rows).as_bytes()).map_err(|error| svg_error(&path, &error))?;
        println!("\ndrawn: {}", path.display());
    }
    Ok(())
}

fn svg_error(path: &Path, error: &io::Error) -> String {
    format!("--svg {}: {error}", path.display())
}

/// The default policy, with verified numbers remembered for the budget's reserve.
fn policy() -> Policy {
    Policy { remember: Policy::REMEMBER, ..Policy::default() }
}

/// Simulates a day without an attack, in which base rates are learned; then the day of the attack.
async fn simulate(
    mut world: World,
    attack: Attack,
    layer: Layer,
    seed: u64,
    people: u32,
) -> Result<Outcome, Box<dyn Error>> {
    world.day(actors::people(people, seed)).await?;
    world.forget_outcome();
    let attackers = attack.actors(seed, layer >= Layer::Solved);
    world.day([actors::people(people, seed + 1), attackers].concat()).await?;
    Ok(world.outcome())
}

fn line(
    attack: Attack,
    layer: Layer,
    outcome: &Outcome,
    without: u32,
    people: u32,
    price: f64,
) -> String {
    format!(
        "| {} | {} | {} | {:.2} | {} | {} | {:.2} % | {} | {} |",
        attack.name(),
        layer.name(),
        outcome.sent,
        f64::from(outcome.sent) * price,
        percent(1.0 - f64::from(outcome.sent) / f64::from(without.max(1))),
        outcome
            .detected
            .map_or_else(|| "never".to_owned(), |after| format!("{} s", after.as_secs())),
        100.0 * f64::from(outcome.people_refused) / f64::from(people),
        outcome.people_challenged,
        outcome.compared,
    )
}

fn percent(share: f64) -> String {
    if share == 0.0 { String::new() } else { format!("{:.1} %", share * 100.0) }
}
