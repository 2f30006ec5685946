//! One round's stage: a broker, a fleet of workers, the sink, and the logs of what happens. Faults are made of what it offers.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    brokers::{Broker, Kind, Message},
    id::Id,
    logs::{Disturbance, Life, Observation, Settled, WorkerId},
    sink::Sink,
    worker::{Settings, Worker},
};

/// How long a fault may wait for what it needs to see.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a worker had begun by the end of a disturbance reaches the sink a little later.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// How large a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Seconds, for every run of the tests.
    Short,
    /// Up to minutes.
    Long,
}

impl Scale {
    pub fn as_str(self) -> &'static str {
        self.pick("short", "long")
    }

    /// One or the other.
    pub fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// What a round begins with.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    pub workers: usize,
    /// Events at once in a worker.
    pub slots: usize,
    /// How long a worker may take to leave.
    pub drain: Duration,
    /// Only the first worker's way to the broker can be cut, not everybody's.
    pub lone_detour: bool,
}

pub struct Scene {
    pub scale: Scale,
    pub stage: Stage,
    pub broker: Box<dyn Broker>,
    pub sink: Sink,
    pub workers: Vec<Worker>,
    rng: RefCell<fastrand::Rng>,
    next: Cell<Id>,
    confirmed: RefCell<BTreeSet<Id>>,
    disturbed: RefCell<Vec<Disturbance>>,
    /// What was seen last.
    pub seen: RefCell<Vec<Observation>>,
    /// When the last of it was asked for.
    pub asked: Cell<Instant>,
    /// How long short messages took beside long ones.
    pub waits: RefCell<Vec<Duration>>,
}

/// A disturbance that has begun.
#[must_use = "a disturbance counts once it is over"]
pub struct Begun {
    lives: BTreeSet<Life>,
    settled: Settled,
}

impl Scene {
    /// Workers' places are made for the greatest fleet; none is started.
    pub async fn new(
        scale: Scale,
        stage: Stage,
        broker: Box<dyn Broker>,
        places: usize,
        rng: fastrand::Rng,
    ) -> Self {
        let sink = Sink::start(Duration::from_millis(30)).await;
        let places = places.min(broker.most_workers());
        let scene = Self {
            scale,
            stage,
            broker,
            sink,
            workers: Vec::new(),
            rng: RefCell::new(rng),
            next: Cell::new(Id::first()),
            confirmed: RefCell::default(),
            disturbed: RefCell::default(),
            seen: RefCell::default(),
            asked: Cell::new(Instant::now()),
            waits: RefCell::default(),
        };
        let workers = (0..places).map(|id| Worker::new(id, scene.settings(id)));
        Self { workers: workers.collect(), ..scene }
    }

    /// What the worker at this place is configured with, as of now.
    pub fn settings(&self, worker: WorkerId) -> Settings {
        Settings {
            subscriptions: self.broker.subscriptions(self.is_detoured(worker), self.stage.slots),
            sink: format!("http://{}/{worker}", self.sink.address()),
            slots: self.stage.slots,
            drain: self.stage.drain,
        }
    }

    /// A choice that the seed makes.
    pub fn choose(&self, range: std::ops::Range<usize>) -> usize {
        self.rng.borrow_mut().usize(range)
    }

    pub fn flip(&self) -> bool {
        self.rng.borrow_mut().bool()
    }

    /// One of those that run.
    pub fn any_worker(&self) -> &Worker {
        let running = self.running();
        running[self.choose(0..running.len())]
    }

    pub fn running(&self) -> Vec<&Worker> {
        self.workers.iter().filter(|worker| worker.runs()).collect()
    }

    /// Those whose lease ends when the way to the broker is cut for long. With a journal it is its publishers' way.
    pub fn detoured(&self) -> impl Iterator<Item = &Worker> {
        let leased = self.broker.kind() != Kind::Journal;
        self.workers.iter().filter(move |worker| leased && self.is_detoured(worker.id))
    }

    fn is_detoured(&self, worker: WorkerId) -> bool {
        !self.stage.lone_detour || worker == 0
    }

    pub async fn all_ready(&self) -> Result<(), String> {
        for worker in self.running() {
            self.until("a worker is ready", async || worker.ready().await).await?;
        }
        Ok(())
    }

    /// Waits until each of them does something from now on.
    pub async fn have_work(&self, workers: &[Worker]) -> Result<(), String> {
        for worker in workers.iter().filter(|worker| worker.runs()) {
            let before = self.sink.done_by(worker.id);
            self.until("everybody has work", async || match self.sink.done_by(worker.id) {
                done if done > before => Ok(()),
                _ => Err(format!("worker {} has none", worker.id)),
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until every worker says that it waits for something.
    pub async fn told_unready(&self) -> Result<(), String> {
        for worker in self.running() {
            self.until("a worker says what is missing", async || match worker.ready().await {
                Ok(()) => Err("it says that it is ready".to_owned()),
                Err(_) => Ok(()),
            })
            .await?;
        }
        Ok(())
    }

    pub async fn start(&self, worker: &Worker) -> Result<(), String> {
        worker.start();
        self.until("a worker is ready", async || worker.ready().await).await
    }

    /// Ids that nobody has had yet.
    pub fn ids(&self, count: usize) -> Vec<Id> {
        let ids: Vec<_> = std::iter::successors(Some(self.next.get()), |id| Some(id.next()))
            .take(count + 1)
            .collect();
        self.next.set(ids[count]);
        ids[..count].to_vec()
    }

    /// Publishes, and notes what the broker confirmed.
    pub async fn publish(&self, messages: Vec<Message>) -> usize {
        let confirmed = self.broker.publish(messages).await;
        let count = confirmed.len();
        self.confirmed.borrow_mut().extend(confirmed);
        count
    }

    pub async fn publish_ids(&self, ids: &[Id]) -> usize {
        self.publish(ids.iter().copied().map(Message::event).collect()).await
    }

    /// Publishes so many new events, and says how many of them were confirmed.
    pub async fn publish_events(&self, count: usize) -> usize {
        self.publish_ids(&self.ids(count)).await
    }

    /// Publishes events whose playbook fails for good, and gives their ids.
    pub async fn publish_doomed(&self, count: usize) -> Vec<Id> {
        let ids = self.ids(count);
        self.sink.doom(ids.iter().copied());
        self.publish_ids(&ids).await;
        ids
    }

    pub fn confirmed(&self) -> BTreeSet<Id> {
        self.confirmed.borrow().clone()
    }

    /// What has had no effect yet is taken back.
    pub fn forget_unanswered(&self) {
        let effects = self.sink.effects();
        let done = effects.iter().filter(|effect| effect.done.is_some());
        let answered: BTreeSet<Id> = done.map(|effect| effect.id).collect();
        self.confirmed.borrow_mut().retain(|id| answered.contains(id));
    }

    /// What the broker says of itself; before it has said anything nothing is settled.
    pub fn settled(&self) -> Settled {
        self.seen.borrow().last().map_or(Settled::Count(0), |seen| seen.settled.clone())
    }

    /// Asks the broker now.
    pub async fn look(&self) -> Result<Observation, String> {
        let asked = async || self.broker.observe(&self.workers).await.ok_or("no answer".to_owned());
        self.until("the broker says how it stands", asked).await
    }

    /// How many dead letters there are.
    pub async fn letters(&self) -> Result<usize, String> {
        Ok(self.look().await?.letters.len())
    }

    /// What these workers have in hand may be done again from here on. What was settled by now isn't.
    pub async fn disturb(&self, workers: impl IntoIterator<Item = &Worker>) -> Begun {
        if let Some(seen) = self.broker.observe(&self.workers).await {
            self.seen.borrow_mut().push(seen);
        }
        let lives = workers.into_iter().map(Worker::life).collect();
        Begun { lives, settled: self.settled() }
    }

    /// Those have come to their end: whatever is still heard of them was begun before.
    pub fn ended(&self, begun: Begun) {
        let Begun { lives, settled } = begun;
        self.disturbed.borrow_mut().push(Disturbance { lives, settled, over: None });
    }

    /// Waits until they have done something that was published just now: before that they may not know yet what they have
    /// lost. What they begin from then on isn't concerned.
    pub async fn calm(&self, begun: Begun) -> Result<(), String> {
        let Begun { lives, settled } = begun;
        let fresh = self.next.get();
        let stands = |life: &&Life| self.workers[life.worker].life() == **life;
        for life in lives.iter().filter(stands) {
            let worker = &self.workers[life.worker];
            self.until("a disturbed worker does something new", async || {
                if !worker.runs() || self.sink.has_done_since(fresh, *life) {
                    return Ok(());
                }
                self.publish_events(1).await;
                Err(format!("worker {} doesn't", life.worker))
            })
            .await?;
        }
        let over = Some(Instant::now() + ON_ITS_WAY);
        self.disturbed.borrow_mut().push(Disturbance { lives, settled, over });
        Ok(())
    }

    pub fn disturbed(&self) -> Vec<Disturbance> {
        self.disturbed.borrow().clone()
    }

    /// Kills a worker, with what it has in hand.
    pub async fn kill(&self, worker: &Worker) {
        let begun = self.disturb([worker]).await;
        worker.kill().await;
        self.ended(begun);
    }

    pub async fn until<T>(
        &self,
        what: &str,
        probe: impl AsyncFnMut() -> Result<T, String>,
    ) -> Result<T, String> {
        testbed::until(what, PATIENCE, probe).await.map_err(|error| error.to_string())
    }

    /// Waits until so many effects more than now are on record.
    pub async fn progress(&self, more: usize) -> Result<(), String> {
        self.progress_to(self.sink.done() + more).await
    }

    /// Waits until so many effects are on record.
    pub async fn progress_to(&self, goal: usize) -> Result<(), String> {
        self.until("work goes on", async || match self.sink.done() {
            done if done >= goal => Ok(()),
            done => Err(format!("{done} of {goal} effects")),
        })
        .await
    }

    pub async fn holds_nothing(&self, worker: &Worker) -> Result<(), String> {
        self.until("a worker has no playbook under way", async || match self.sink.held(worker.id) {
            0 => Ok(()),
            held => Err(format!("{held} held")),
        })
        .await
    }

    pub async fn anybody_holds(&self) -> Result<(), String> {
        self.until("somebody is in the middle of a playbook", async || {
            let anybody = self.workers.iter().any(|worker| self.sink.held(worker.id) > 0);
            anybody.then_some(()).ok_or_else(|| "nobody is".to_owned())
        })
        .await
    }

    /// Waits until `worker` has so many effects begun and not done.
    pub async fn holds(&self, worker: &Worker, count: usize) -> Result<(), String> {
        self.until("a worker is in the middle of its playbooks", async || {
            match self.sink.held(worker.id) {
                held if held >= count => Ok(()),
                held => Err(format!("{held} held")),
            }
        })
        .await
    }
}
