//! The actors of a simulated day: people and attackers, and their requests and checks. Every figure
//! is an assumption of the simulation.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fastrand::Rng;
use sms_domain::phone::PhoneNumber;

/// The hour at which an attack begins.
const ATTACK_AT: u64 = 6;
const DAY: u64 = 86_400;

/// Sign-ups by the hour of the day, of about a thousand people.
const BY_HOUR: [u32; 24] =
    [15, 8, 5, 4, 4, 8, 18, 35, 50, 58, 60, 58, 55, 52, 52, 55, 58, 60, 62, 68, 72, 66, 48, 29];

/// A person or a bot, with a plan.
#[derive(Debug, Clone)]
pub struct Actor {
    pub attacks: bool,
    /// True if it solves challenges, as people do.
    pub solves: bool,
    pub to: PhoneNumber,
    pub ip: IpAddr,
    /// Time of its first step, since midnight.
    pub begins: Duration,
    /// Its steps, each with the time since the step before.
    pub plan: Vec<(Duration, Step)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A request for a code.
    Request,
    /// A check of the right code.
    Right,
    /// A check of a wrong code.
    Wrong,
}

/// A day of people: most type their code; some mistype it, or their number, or wait for an SMS that
/// does not come and request another; some give up.
pub fn people(count: u32, seed: u64) -> Vec<Actor> {
    let mut rng = Rng::with_seed(seed);
    let mut actors = Vec::new();
    for _ in 0..count {
        let (to, ip, begins) =
            (number(rng.u64(0..1_000_000_000)), address(&mut rng), time_of_day(&mut rng));
        let types = seconds(5 + rng.u64(0..30) + rng.u64(0..30));
        let plan = match rng.u32(0..100) {
            0..4 => vec![request(), (types, Step::Wrong), (seconds(8), Step::Right)],
            4..8 => vec![request(), (seconds(75), Step::Request), (types, Step::Right)],
            8..12 => vec![request()],
            12..16 => {
                let mistyped = number(rng.u64(0..1_000_000_000));
                actors.push(Actor {
                    attacks: false,
                    solves: true,
                    to: mistyped,
                    ip,
                    begins,
                    plan: vec![request()],
                });
                vec![(seconds(40), Step::Request), (types, Step::Right)]
            }
            _ => vec![request(), (types, Step::Right)],
        };
        actors.push(Actor { attacks: false, solves: true, to, ip, begins, plan });
    }
    actors
}

/// An attack: for money (pumping), out of malice (bombing), or on an account (guessing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Pumping of one block of 10,000 numbers, from 50 addresses.
    OneBlock,
    /// Pumping of 1,000 blocks, 20 SMS to each, from 500 addresses.
    ManyBlocks,
    /// Pumping of 20 blocks, each request from another address.
    RotatingAddresses,
    /// Pumping of one block, an SMS in three minutes.
    SlowDrip,
    /// A request for the same number every minute.
    Bombing,
    /// Five guesses at each of 5,000 numbers.
    Guessing,
}

impl Attack {
    pub const ALL: [Self; 6] = [
        Self::OneBlock,
        Self::ManyBlocks,
        Self::RotatingAddresses,
        Self::SlowDrip,
        Self::Bombing,
        Self::Guessing,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::OneBlock => "pumping one block",
            Self::ManyBlocks => "pumping 1,000 blocks",
            Self::RotatingAddresses => "pumping 20 blocks, rotating addresses",
            Self::SlowDrip => "pumping one block, a slow drip",
            Self::Bombing => "bombing one number",
            Self::Guessing => "guessing codes",
        }
    }

    /// The numbers of requests, of blocks that they go to, and of addresses that they come from.
    fn shape(self) -> (u32, u32, u32) {
        match self {
            Self::OneBlock => (10_000, 1, 50),
            Self::ManyBlocks => (20_000, 1_000, 500),
            Self::RotatingAddresses => (10_000, 20, 10_000),
            Self::SlowDrip => (360, 1, 20),
            Self::Bombing => (1_080, 1, 1_080),
            Self::Guessing => (5_000, 5_000, 5_000),
        }
    }

    /// The bots of a day; `solves`: they solve challenges.
    pub fn actors(self, seed: u64, solves: bool) -> Vec<Actor> {
        let mut rng = Rng::with_seed(seed ^ 0xA77A_C4E5);
        let (requests, blocks, addresses) = self.shape();
        let blocks: Vec<u64> = (0..blocks).map(|_| rng.u64(0..100_000)).collect();
        let period = (DAY - ATTACK_AT * 3600) * 1000 / u64::from(requests);
        let mut actors = Vec::new();
        for index in 0..requests {
            let block = blocks[index as usize % blocks.len()];
            let within = if self == Self::Bombing { 0 } else { rng.u64(0..10_000) };
            let guesses = if self == Self::Guessing { 5 } else { 0 };
            let plan = std::iter::once(request())
                .chain((0..guesses).map(|_| (seconds(2), Step::Wrong)))
                .collect();
            actors.push(Actor {
                attacks: true,
                solves,
                to: number(block * 10_000 + within),
                ip: Ipv4Addr::from_bits(0xC612_0000 + index % addresses).into(),
                begins: seconds(ATTACK_AT * 3600)
                    + Duration::from_millis(period * u64::from(index)),
                plan,
            });
        }
        actors
    }
}

/// Start of an attack, since midnight.
pub fn attack_begins() -> Duration {
    seconds(ATTACK_AT * 3600)
}

/// A Chinese mobile number.
#[expect(clippy::expect_used, reason = "eleven digits after +86")]
fn number(index: u64) -> PhoneNumber {
    PhoneNumber::from_e164(&format!("+8613{index:09}")).expect("a number")
}

/// Three in ten come through one of 40 addresses of mobile carriers, one from one of 100 offices,
/// the others from home.
fn address(rng: &mut Rng) -> IpAddr {
    let (network, host) = match rng.u32(0..10) {
        0..3 => (0x0A00_0000, rng.u32(0..40)),
        3 => (0x0B00_0000, rng.u32(0..100)),
        _ => (0x2000_0000, rng.u32(0..0x1000_0000)),
    };
    Ipv4Addr::from_bits(network + host).into()
}

fn time_of_day(rng: &mut Rng) -> Duration {
    let mut place = rng.u32(0..BY_HOUR.iter().sum());
    let hour = BY_HOUR.iter().position(|count| {
        let here = place < *count;
        place = place.saturating_sub(*count);
        here
    });
    seconds(hour.unwrap_or_default() as u64 * 3600 + rng.u64(0..3600))
}

fn request() -> (Duration, Step) {
    (Duration::ZERO, Step::Request)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
