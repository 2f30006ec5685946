//! What others do to a topic and its group: an operator, a tool, another program.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{CommitMode, Consumer as _},
    error::KafkaResult,
};
use tokio::task::spawn_blocking;

use super::{ANSWER, Kafka};

/// A broker goes on deleting after it has said that a topic is gone, and a group after its last member has left.
const SETTLES: Duration = Duration::from_secs(60);

/// What a group has committed of a partition.
#[derive(Clone, Debug)]
pub struct Commit {
    pub partition: i32,
    pub offset: i64,
    pub note: String,
}

impl Kafka {
    /// What the group has committed, of partitions where it has.
    pub async fn commits(&self) -> Result<Vec<Commit>, String> {
        let asking = self.asking.clone();
        let asked = move || -> KafkaResult<Vec<Commit>> {
            let mut list = TopicPartitionList::new();
            list.add_partition_range(&asking.topic, 0, asking.partitions - 1);
            let committed = asking.group.committed_offsets(list, ANSWER)?;
            let elements = committed.elements();
            let commits = elements.iter().filter_map(|element| {
                let Offset::Offset(offset) = element.offset() else { return None };
                let (partition, note) = (element.partition(), element.metadata().to_owned());
                Some(Commit { partition, offset, note })
            });
            Ok(commits.collect())
        };
        spawn_blocking(asked).await.unwrap().map_err(|error| error.to_string())
    }

    /// Commits as another client of the group would, which it can't while the group has members.
    pub async fn commit_as_another(&self, commits: &[Commit]) -> Result<(), String> {
        let forged = commits.iter().map(|commit| (commit.partition, commit.note.clone()));
        self.asking.forged.lock().unwrap().extend(forged);
        let committed = async || {
            let (asking, commits) = (self.asking.clone(), commits.to_vec());
            let commit = move || -> KafkaResult<()> {
                let mut list = TopicPartitionList::new();
                for Commit { partition, offset, note } in commits {
                    let mut element = list.add_partition(&asking.topic, partition);
                    element.set_offset(Offset::Offset(offset))?;
                    element.set_metadata(note);
                }
                asking.group.commit(&list, CommitMode::Sync)
            };
            spawn_blocking(commit).await.unwrap().map_err(|error| error.to_string())
        };
        let taken = testbed::until("the group takes another's commit", SETTLES, committed).await;
        taken.map_err(|error| error.to_string())
    }

    /// The topic with all that is in it.
    pub async fn delete_topic(&self) -> Result<(), String> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap);
        let topic = self.topic.clone();
        let delete = move || {
            let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
            let (topics, options) = ([topic.as_str()], AdminOptions::new());
            let gone = admin.delete_topics(&topics, &options);
            tokio::runtime::Handle::current().block_on(gone).unwrap()
        };
        let gone = spawn_blocking(delete).await.unwrap();
        self.asking.published.lock().unwrap().clear();
        if gone.iter().all(Result::is_ok) { Ok(()) } else { Err(format!("{gone:?}")) }
    }

    /// The topic, as soon as the broker has done with the one before.
    pub async fn create_topic(&self) -> Result<(), String> {
        let made = async || self.try_create(self.topic.clone(), self.wanted.partitions).await;
        let made = testbed::until("the topic is made anew", SETTLES, made).await;
        made.map_err(|error| error.to_string())
    }
}
