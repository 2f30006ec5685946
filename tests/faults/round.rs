//! One round: the stage is set, a load runs, the fault strikes, all is mended, and the logs are judged.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OnceCell};

use crate::{
    brokers::{
        Broker, Kind, Wanted, journal::Journal, kafka, kafka::Kafka, nats, nats::Nats, pubsub,
        pubsub::PubSub,
    },
    catalogue::Fault,
    invariants as must,
    logs::Observation,
    scene::{Scale, Scene, Stage},
    worker::Worker,
};

/// What a worker may hold beside `limits.memory`: the program itself, librdkafka's queue and the journal's cache.
const BASE_BYTES: u64 = 96 << 20;
const LIMIT_BYTES: u64 = (64 << 20) + BASE_BYTES;
/// The longest that a partition may stand still: a session of a killed member, a drain, and the tries in between.
const STILL: Duration = Duration::from_secs(90);
/// The longest way to rest.
const REST: Duration = Duration::from_secs(240);
/// What a short message may usually take, and what none may.
const SHORT: Duration = Duration::from_secs(1);
const STUCK: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Between two messages of the load that runs beside every fault.
const LOAD: Duration = Duration::from_millis(40);

/// What names a round, and repeats it.
#[derive(Clone, Copy)]
pub struct Ticket {
    pub fault: &'static Fault,
    pub kind: Kind,
    pub seed: u64,
    pub scale: Scale,
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fault, kind, seed, scale } = self;
        write!(f, "{}/{}/{seed:016x}/{}", fault.name, kind.as_str(), scale.as_str())
    }
}

/// How a round ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub events: usize,
    pub lost: usize,
    pub duplicates: usize,
    pub bound: usize,
    pub peak_bytes: u64,
    /// How long short messages took beside long ones.
    pub waits: Vec<Duration>,
    pub violations: Vec<String>,
    /// The ends of the workers' logs, if anything was violated.
    pub logs: String,
}

/// Servers that rounds share, started for the first that wants them.
pub struct Servers {
    kafka: OnceCell<(kafka::Shared, kafka::Detours)>,
    nats: OnceCell<nats::Shared>,
    /// With the number of rounds that it has served.
    pubsub: Mutex<Option<(pubsub::Shared, usize)>>,
    at_once: usize,
}

/// How many rounds an emulator of Pub/Sub serves: it keeps some memory of every connection that was reset.
const ROUNDS_OF_AN_EMULATOR: usize = 100;

impl Servers {
    /// For so many rounds at once.
    pub fn new(at_once: usize) -> Self {
        Self { kafka: OnceCell::new(), nats: OnceCell::new(), pubsub: Mutex::default(), at_once }
    }

    /// Whoever has the one before goes on with it.
    async fn pubsub(&self) -> pubsub::Shared {
        let mut current = self.pubsub.lock().await;
        let (server, served) = match current.take() {
            Some((server, served)) if served < ROUNDS_OF_AN_EMULATOR => (server, served),
            _ => (pubsub::start().await, 0),
        };
        *current = Some((server.clone(), served + 1));
        server
    }

    async fn broker(&self, ticket: Ticket, wanted: Wanted) -> Box<dyn Broker> {
        let name = format!("{}-{:016x}", ticket.fault.name, ticket.seed);
        match ticket.kind {
            Kind::Journal => Box::new(Journal::new(wanted).await),
            Kind::PubSub => Box::new(PubSub::new(self.pubsub().await, &name, wanted).await),
            Kind::Nats => {
                let server = match wanted.own {
                    true => nats::start().await,
                    false => self.nats.get_or_init(nats::start).await.clone(),
                };
                Box::new(Nats::new(server, &name, wanted).await)
            }
            Kind::Kafka => {
                let (kafka, detour) = match wanted {
                    Wanted { tokens: true, .. } => (kafka::start_with_tokens().await, None),
                    Wanted { own: true, .. } => with_detour(&kafka::start(1).await),
                    _ => {
                        let started = self.kafka.get_or_init(|| kafka::start(self.at_once));
                        with_detour(started.await)
                    }
                };
                Box::new(Kafka::new(kafka, detour, &name, wanted).await)
            }
        }
    }
}

fn with_detour(
    (kafka, detours): &(kafka::Shared, kafka::Detours),
) -> (kafka::Shared, Option<kafka::Detour>) {
    (kafka.clone(), Some(detours.take()))
}

/// Plays a round.
pub async fn play(ticket: Ticket, servers: &Servers) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(ticket.seed);
    let wanted = (ticket.fault.wants)(&mut rng);
    let stage = Stage { lone_detour: rng.bool(), ..(ticket.fault.stage)(&mut rng) };
    let broker = servers.broker(ticket, wanted).await;
    let scene = Scene::new(ticket.scale, stage, broker, ticket.fault.places, rng).await;
    let early = Cell::new(None);
    let ended = tokio::select! {
        ended = act(&scene, ticket.fault) => ended,
        never = watch(&scene, &early) => never,
    };
    judge(&scene, ended.err(), early.take()).await
}

/// The whole play: the fleet starts, the fault strikes under load, all is mended and comes to rest.
async fn act(scene: &Scene, fault: &Fault) -> Result<(), String> {
    for worker in &scene.workers {
        if worker.id < scene.stage.workers {
            worker.start();
        }
    }
    for worker in scene.workers.iter().filter(|worker| worker.runs()) {
        scene.until("a worker is ready", async || worker.ready().await).await?;
    }
    let stop = Cell::new(false);
    let (struck, ()) = tokio::join!(
        async {
            let struck = (fault.strike)(scene).await;
            stop.set(true);
            struck
        },
        async {
            while fault.load && !stop.get() {
                scene.publish_events(1).await;
                tokio::time::sleep(LOAD).await;
            }
        }
    );
    scene.sink.recover();
    scene.broker.proxy().heal();
    if !scene.workers.iter().any(|worker| worker.runs()) {
        scene.start(&scene.workers[0]).await?;
    }
    // From here on nothing is broken, and nothing may stand still.
    scene.seen.borrow_mut().clear();
    let rested = rest(scene).await;
    struck.and(rested)
}

/// Waits until nothing is left to do.
async fn rest(scene: &Scene) -> Result<(), String> {
    let since = Instant::now();
    let nothing_left = async || match scene.seen.borrow().last() {
        // What was asked while something was still published may not know of it.
        Some(_) if scene.asked.get() < since => Err("nothing is known yet".to_owned()),
        Some(seen) if seen.lag() == 0 => Ok(()),
        Some(seen) => Err(format!("a lag of {}: {:?}", seen.lag(), seen.partitions)),
        None => Err("the broker says nothing".to_owned()),
    };
    testbed::until("all is settled", REST, nothing_left).await.map_err(|error| error.to_string())
}

/// Looks again and again, and keeps what was seen.
async fn watch(scene: &Scene, early: &Cell<Option<String>>) -> ! {
    loop {
        let asked = Instant::now();
        if let Some(seen) = scene.broker.observe(&scene.workers).await {
            if let Some(violation) = must::settled_early(&seen, &scene.sink.effects()) {
                early.set(Some(violation));
            }
            scene.seen.borrow_mut().push(seen);
            scene.asked.set(asked);
        }
        scene.workers.iter().for_each(Worker::measure);
        tokio::time::sleep(LOOK).await;
    }
}

async fn judge(scene: &Scene, ended: Option<String>, early: Option<String>) -> Outcome {
    let mut violations: Vec<String> = ended.into_iter().chain(early).collect();
    let seen: Vec<Observation> = scene.seen.borrow().clone();
    violations.extend(must::idle(&seen, STILL));
    let peak_bytes = scene.workers.iter().map(|worker| worker.peak_bytes()).max().unwrap_or(0);
    violations.extend(scene.workers.iter().flat_map(Worker::ended));
    for worker in scene.running() {
        let told = worker.terminate().await;
        violations.extend(told.and(worker.left().await).err());
    }
    let letters =
        scene.until("the dead letters can be read", async || scene.broker.letters().await);
    let letters = letters.await.unwrap_or_else(|why| {
        violations.push(why);
        Vec::new()
    });
    let effects = scene.sink.effects();
    let confirmed = scene.confirmed();
    let lost = must::lost(&confirmed, &effects, &letters);
    if !lost.is_empty() {
        let ids: Vec<_> = lost.iter().map(ToString::to_string).collect();
        violations.push(format!("lost: {}", must::some(&ids)));
    }
    let duplicates = must::duplicates(&effects, &letters, &scene.disturbed());
    violations.extend(duplicates.violation());
    violations.extend(must::over_memory(peak_bytes, LIMIT_BYTES));
    violations.extend(must::late(&scene.waits.borrow(), SHORT, STUCK));
    let logs = if violations.is_empty() { String::new() } else { logs(scene) };
    Outcome {
        events: confirmed.len(),
        lost: lost.len(),
        duplicates: duplicates.count,
        bound: duplicates.bound,
        peak_bytes,
        waits: scene.waits.take(),
        violations,
        logs,
    }
}

fn logs(scene: &Scene) -> String {
    const LINES: usize = 40;
    let end = |worker: &Worker| {
        let log = worker.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
        format!("--- the end of worker {}'s log\n{end}\n", worker.id)
    };
    scene.workers.iter().map(end).collect()
}
