//! The objects of the demo: one of every kind, and what should become of it.

use anyhow::Result;

use crate::stack::{S3, Stack};

/// One object of the demo.
pub struct Actor {
    pub key: &'static str,
    /// Where it lies, for people.
    pub lies: &'static str,
    pub body: &'static str,
    /// What the edge answers before and after the restore.
    pub before: u16,
    pub after: u16,
    pub ending: Ending,
    place: Place,
}

/// What a restore should make of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Fetched and shown.
    Published,
    /// Never archived: left alone.
    Available,
    /// Not there at all.
    Missing,
}

impl Ending {
    /// The state of the HTTP API.
    pub fn state(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Available => "available",
            Self::Missing => "failed",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Class(&'static str),
    /// The access tier of Intelligent-Tiering. On AWS an object gets there by not being read for months.
    AccessTier(&'static str),
    Nowhere,
}

/// The objects that this S3 can play.
pub fn cast(s3: S3) -> Vec<Actor> {
    let archived =
        |key, lies, body, place| Actor { key, lies, body, before: 403, after: 200, ending: Ending::Published, place };
    let readable =
        |key, lies, body, place| Actor { key, lies, body, before: 200, after: 200, ending: Ending::Available, place };
    let mut cast = vec![
        archived("photos/2019/cat.jpg", "Glacier Flexible Retrieval", "a cat", Place::Class("GLACIER")),
        archived("films/1998/wedding.mp4", "Glacier Deep Archive", "a wedding", Place::Class("DEEP_ARCHIVE")),
    ];
    // MiniStack takes the configuration of Intelligent-Tiering but archives nothing.
    if s3 == S3::Sim {
        cast.push(archived(
            "maps/1953.tif",
            "Intelligent-Tiering, archive",
            "a map",
            Place::AccessTier("ARCHIVE_ACCESS"),
        ));
        cast.push(archived(
            "scans/1911.tif",
            "Intelligent-Tiering, deep archive",
            "a scan",
            Place::AccessTier("DEEP_ARCHIVE_ACCESS"),
        ));
    }
    cast.push(readable("books/index.html", "Glacier Instant Retrieval", "a book", Place::Class("GLACIER_IR")));
    cast.push(readable("news/today.html", "Standard", "the news", Place::Class("STANDARD")));
    // MiniStack's S3 says 403 to an edge that may not list the bucket, as AWS does; the simulator's always tells.
    let missing = if s3 == S3::Sim { 404 } else { 403 };
    cast.push(Actor {
        key: "photos/2019/dog.jpg",
        lies: "nowhere: a typing error",
        body: "",
        before: missing,
        after: missing,
        ending: Ending::Missing,
        place: Place::Nowhere,
    });
    cast
}

/// Uploads the objects.
pub fn put(stack: &Stack, cast: &[Actor]) -> Result<()> {
    let s3 = stack.s3();
    for actor in cast {
        let mut headers = vec![("content-type", "text/plain")];
        match actor.place {
            Place::Class(class) => {
                headers.push(("x-amz-storage-class", class));
                s3.put_object(&stack.archive_bucket, actor.key, &headers, actor.body.as_bytes())?;
            }
            Place::AccessTier(tier) => {
                headers.push(("x-amz-storage-class", "INTELLIGENT_TIERING"));
                s3.put_object(&stack.archive_bucket, actor.key, &headers, actor.body.as_bytes())?;
                stack.control().move_to_access_tier(&stack.archive_bucket, actor.key, tier)?;
            }
            Place::Nowhere => {}
        }
    }
    Ok(())
}
