//! A stand-in for Mongo-Tomcat-Sessions (2012): one find at the beginning of a request, the whole document upserted at the
//! end of it whatever it did, and a purge by every node at every tick of its background thread.
//!
//! Left out: the driver's unacknowledged writes of the time (this one acknowledges), reads from secondaries, serialisation,
//! and the sharing of settings by the applications of one process. An unknown id is not adopted here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use mongodb::{Client, Collection};

use crate::attributes::Attributes;
use crate::job::{Answer, Failure, Job, Manager, Work, random};

#[derive(Debug)]
pub(crate) struct Upsert(Collection<Document>);

fn millis() -> Result<i64, Failure> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

impl Upsert {
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let client = Client::with_uri_str(url).await?;
        Ok(Self(client.database("ancestor").collection("sessions")))
    }

    async fn save(&self, id: &str, attributes: &Attributes) -> Result<(), Failure> {
        let data = Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: attributes.encode() });
        // A number, which no time-to-live index can use.
        let document = doc! { "_id": id, "data": data, "lastmodified": millis()? };
        self.0.replace_one(doc! { "_id": id }, document).upsert(true).await?;
        Ok(())
    }

    /// What the background thread of every node does at every tick.
    pub(crate) async fn purge(&self, idle: Duration) -> Result<u64, Failure> {
        let before = millis()? - i64::try_from(idle.as_millis())?;
        Ok(self.0.delete_many(doc! { "lastmodified": { "$lt": before } }).await?.deleted_count)
    }
}

#[async_trait]
impl Manager for Upsert {
    async fn request(&self, id: Option<&str>, job: Job) -> Result<Answer, Failure> {
        let Job { work, meanwhile, .. } = job;
        // The container looks the session up whether the application wants it or not.
        let found = match id {
            Some(id) => self.0.find_one(doc! { "_id": id }).await?,
            None => None,
        };
        let before = match &found {
            Some(document) => Some(Attributes::decode(document.get_binary_generic("data")?)?),
            None => None,
        };
        meanwhile.await;
        let id = match (id, &before) {
            (Some(id), Some(_)) => id.to_owned(),
            _ if matches!(work, Work::Set(..) | Work::Count) => format!("{:016x}", random()?),
            _ => return Ok(Answer::default()),
        };
        if work == Work::LogOut {
            // The session's own end, and that of the request.
            for _ in 0..2 {
                self.0.delete_one(doc! { "_id": &id }).await?;
            }
            return Ok(Answer { found: true, ..Answer::default() });
        }
        let mut after = before.clone().unwrap_or_default();
        after.change(work);
        self.save(&id, &after).await?;
        let seen = before.as_ref().unwrap_or(&after).answer(&id);
        Ok(Answer { found: before.is_some(), ..seen })
    }
}
