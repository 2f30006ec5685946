//! One object as it is now, and patches that hold for exactly that.
//!
//! A JSON patch first tests the uid and the resourceVersion that were read: a successor of the same name, or an object
//! that somebody else has changed meanwhile, is never written. Who loses such a race reads again and judges anew.

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    api::{Patch, PatchParams},
    core::{Request, params::GetParams},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Api, ApiError, Class, Operations};
use crate::act::outcome::{Failure, FailureKind, Outcome, SkipReason};

/// How often others may win the race before it is left to a later try.
const ROUNDS: u32 = 5;

/// Where an object of a known kind is found. The names must have been checked: they become part of a path.
#[derive(Debug, Clone, Copy)]
pub(in crate::act) struct Place<'a> {
    /// `None` for kinds without namespaces.
    pub(in crate::act) namespace: Option<&'a str>,
    pub(in crate::act) name: &'a str,
}

/// What an object should be changed to, judged on the object as it is now.
#[async_trait]
pub(in crate::act) trait Edit<K>: Sync {
    /// Asked once for every version that is read: what it finds done is done.
    async fn judge(&self, live: &K) -> Result<Verdict, Failure>;
}

/// What to do about an object.
pub(in crate::act) enum Verdict {
    /// Nothing is to be written.
    Settled(Outcome),
    /// These, one after the other; `done` are the words for it once it has happened.
    Write { parts: Vec<Part>, done: String },
}

/// A patch of the object, or of one subresource.
pub(in crate::act) struct Part {
    pub(in crate::act) subresource: Option<&'static str>,
    pub(in crate::act) operations: Operations,
}

/// The very object and version that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pin {
    uid: String,
    version: String,
}

impl Pin {
    fn of(meta: &ObjectMeta) -> Result<Pin, Failure> {
        match (&meta.uid, &meta.resource_version) {
            (Some(uid), Some(version)) => Ok(Pin { uid: uid.clone(), version: version.clone() }),
            _ => Err(Failure::permanent("the API server returned an object without a uid")),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    metadata: ObjectMeta,
}

impl Api {
    /// A live read; `None` where the API server says that there is no such object.
    pub(in crate::act) async fn live<K>(&self, place: Place<'_>) -> Result<Option<K>, ApiError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let url = K::url_path(&(), place.namespace);
        let read = self
            .call(|client| async move {
                let request = Request::new(url).get(place.name, &GetParams::default());
                client.request::<K>(request.map_err(kube::Error::BuildRequest)?).await
            })
            .await;
        match read {
            Ok(object) => Ok(Some(object)),
            Err(error) if *error.class() == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes one object: reads it, has it judged, and writes for that version alone.
    ///
    /// Safe to repeat after a crash anywhere, since every round begins with what is there. A dry run is judged by
    /// the server and changes nothing.
    pub(in crate::act) async fn edit<K>(
        &self,
        place: Place<'_>,
        edit: &dyn Edit<K>,
        dry_run: bool,
    ) -> Result<Outcome, Failure>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync,
    {
        let mut refused: Option<(Pin, ApiError)> = None;
        for _ in 0..ROUNDS {
            let Some(live) = self.live::<K>(place).await? else {
                let why = format!("{} {} is gone", K::kind(&()).to_lowercase(), place.name);
                return Ok(Outcome::Skipped(SkipReason::Gone, why));
            };
            let pin = Pin::of(live.meta())?;
            if let Some((pinned, error)) = refused.take_if(|(pinned, _)| *pinned == pin) {
                // Nobody has changed it: the answer was about the patch.
                return Err(unchanged(&pinned, error));
            }
            let (parts, done) = match edit.judge(&live).await? {
                Verdict::Settled(outcome) => return Ok(outcome),
                Verdict::Write { parts, done } => (parts, done),
            };
            match self.write::<K>(place, pin, parts, dry_run).await? {
                None if dry_run => {
                    let why = format!("the API server accepted the dry run: {done}");
                    return Ok(Outcome::Skipped(SkipReason::DryRun, why));
                }
                None => return Ok(Outcome::Applied(done)),
                raced => refused = raced,
            }
        }
        let why = refused.map(|(_, error)| error.to_string()).unwrap_or_default();
        Err(Failure::transient(format!("{} does not come to rest: {why}", place.name)))
    }

    /// `None` once all is written; else the version that was meant, and what the server said of it.
    async fn write<K>(
        &self,
        place: Place<'_>,
        mut pin: Pin,
        parts: Vec<Part>,
        dry_run: bool,
    ) -> Result<Option<(Pin, ApiError)>, Failure>
    where
        K: Resource<DynamicType = ()>,
    {
        for part in parts {
            match self.for_half().patch::<K>(place, &pin, part, dry_run).await {
                // A dry run makes no version that the next part could be pinned to.
                Ok(_) if dry_run => {}
                Ok(meta) => pin = Pin::of(&meta)?,
                Err(error) if is_for_the_next_look(&error) => return Ok(Some((pin, error))),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn patch<K>(
        &self,
        place: Place<'_>,
        pin: &Pin,
        part: Part,
        dry_run: bool,
    ) -> Result<ObjectMeta, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        let patch = Patch::<()>::Json(part.operations.pinned_to(&pin.uid, &pin.version));
        let params = PatchParams { dry_run, ..PatchParams::default() };
        let request = Request::new(K::url_path(&(), place.namespace));
        let answer = self.call(|client| async move {
            let request = match part.subresource {
                None => request.patch(place.name, &params, &patch),
                Some(subresource) => {
                    request.patch_subresource(subresource, place.name, &params, &patch)
                }
            };
            client.request::<Answer>(request.map_err(kube::Error::BuildRequest)?).await
        });
        Ok(answer.await?.metadata)
    }
}

/// True where only the live object tells what the answer means: another uid or version (422, 409), an object that is
/// gone, or no answer at all.
fn is_for_the_next_look(error: &ApiError) -> bool {
    matches!(error.class(), Class::Conflict | Class::NotFound)
        || error.code() == Some(422)
        || is_unanswered(error)
}

fn is_unanswered(error: &ApiError) -> bool {
    error.code().is_none() && matches!(error.class(), Class::Failed(FailureKind::Unavailable(_)))
}

/// The failure of a write to an object that is still as it was.
fn unchanged(pin: &Pin, error: ApiError) -> Failure {
    if is_unanswered(&error) {
        // One object's slow admission must not look like an outage, which holds everything.
        let hint = "it answers reads: does an admission webhook hang?";
        return Failure::transient(format!("{error}; {hint}"));
    }
    match error.class() {
        // Said of an object that a read shows: another try may be judged by a server that knows better.
        Class::NotFound | Class::Conflict => {
            Failure::transient(format!("{error}, though it still is version {}", pin.version))
        }
        Class::Failed(_) => error.into(),
    }
}
