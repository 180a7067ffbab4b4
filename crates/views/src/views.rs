//! The read side as one handle: what the program opens, the subscriptions fold through and the
//! gateway reads.
//!
//! A page that is cached costs two look-ups in memory, one that is not an indexed read and a rendering; where
//! the store is embedded, both run on the caller's thread and wait for nobody. Nothing here looks at who asks;
//! the caller does, before it names an owner.

mod instances;
mod rendering;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::store::{LeftOut, Rows};
use events::{Clock, Control, Database, FeedPosition, Topic, WritePosition};
use jiff::Timestamp;
use serde_json::Value;

use crate::behind;
use crate::cache::{CACHE_BYTES_MAX, Cache};
use crate::definition::Definitions;
use crate::encoding::Encoding;
use crate::error::Error;
use crate::feed::{CHANGES_MAX, Change, Changes};
use crate::fold::Fold;
use crate::generation::Generation;
use crate::lease::Lease;
use crate::owner::{Owner, Owners, OwnersPageRef};
use crate::page::{self, Listed, Page, PageJson, Slice, SortBy, SortedSlice};
use crate::progress::{Progress, Waited};
use crate::read_side::ReadSide;
use crate::render::{Locale, Look, Rendered};
use crate::row::Row;
use crate::stale::Staleness;
use crate::stamps::{Stamps, Watch};
use crate::store::feed::OwnerVersion;
use crate::store::rows::ViewTable;
use crate::store::{self, Server, Store, feed, read};
use crate::view::{SortOrder, View};

/// The read side; clones share it.
#[derive(Clone)]
pub struct Views {
    side: Arc<ReadSide>,
}

impl Views {
    /// Opens or creates `views.db` in `folder`. Blocks for the disk.
    ///
    /// Rows that were folded under other definitions are dropped with their subscriptions'
    /// positions, so that the log makes them again.
    ///
    /// # Errors
    /// [`Error::Store`]: environment trouble passes, open again; a damaged file is for the operator,
    /// who may remove it and have the log make it again.
    pub fn open(
        folder: &Path,
        definitions: Definitions,
        look: Look,
        clock: Clock,
    ) -> Result<Views, Error> {
        let store = store::open(folder, &definitions, Arc::clone(&clock))?;
        Ok(Views::over(store, None, definitions, look, clock))
    }

    /// Opens or creates the views' schema on a server.
    ///
    /// Rows that were folded under other definitions are dropped with their subscriptions' positions, as of a
    /// file.
    ///
    /// # Errors
    /// [`Error::Store`]: environment trouble passes, open again; a name that is too long for the server's engine is
    /// to be shortened.
    pub async fn connect(
        server: Server,
        definitions: Definitions,
        look: Look,
        clock: Clock,
    ) -> Result<Views, Error> {
        let store = store::connect(server, &definitions, Arc::clone(&clock)).await?;
        Ok(Views::over(store, Some(Lease::new()), definitions, look, clock))
    }

    fn over(
        store: Store,
        lease: Option<Lease>,
        mut definitions: Definitions,
        look: Look,
        clock: Clock,
    ) -> Views {
        definitions.templates.write_money_as(look.money.clone());
        let stamps = Arc::new(Stamps::new());
        let progress = Progress::new(definitions.topics(), clock, Arc::clone(&stamps));
        let side = ReadSide {
            generation: Generation::new(definitions, store.statements, store.feed_id),
            database: store.database,
            apart: store.apart,
            lease,
            stamps,
            progress,
            cache: Cache::new(CACHE_BYTES_MAX),
            look,
        };
        Views { side: Arc::new(side) }
    }

    /// Gives the feed of the file in `folder`, which nobody has open, another name: after it was put
    /// back to an earlier moment, places in what came later mean nothing any more.
    ///
    /// # Errors
    /// [`Error::Store`]: environment trouble passes, try again.
    pub fn renew_feed(folder: &Path, now: Timestamp) -> Result<(), Error> {
        store::renew_feed(folder, now)
    }

    /// The database that the fold's subscriptions run in.
    pub fn database(&self) -> &Database {
        &self.side.database
    }

    /// The handler that every topic's subscription is given.
    pub fn fold(&self) -> Fold {
        Fold::new(Arc::clone(&self.side))
    }

    /// Every page, by name.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.side.generation.pages.iter()
    }

    /// Records which topic a source publishes to, before anybody waits for it: a position of a source
    /// whose topic no view folds is met at once. A source that nothing is known of is taken to publish to
    /// the topic of its own name.
    pub fn publisher(&self, source: &str, topic: &Topic) {
        self.side.progress.publisher(source, topic);
    }

    /// Says which numbers of a source a restore left out: a position among them is of a write that is
    /// gone, and met by what was there before it.
    pub fn left_out(&self, source: &str, numbers: Vec<LeftOut>) {
        self.side.progress.left_out(source, numbers);
    }

    /// Makes one of the fold's subscriptions known, before anybody waits: how far it got, and
    /// whether events of it are parked.
    pub async fn attach(&self, control: Control) {
        self.side.progress.attach(control, &self.side.database).await;
    }

    /// The locale of that name, if pages are rendered in it.
    pub fn locale(&self, name: &str) -> Option<Locale> {
        let place = self.side.look.locales.iter().position(|known| known == name)?;
        u8::try_from(place).ok().map(Locale)
    }

    /// The locale of whoever names none that there is: the first.
    pub fn usual_locale(&self) -> Locale {
        Locale(0)
    }

    /// A locale's name.
    pub fn locale_name(&self, locale: Locale) -> &str {
        self.side.look.locales.get(usize::from(locale.0)).map_or("", String::as_str)
    }

    /// A page as data; one without rows for an owner nothing is known of.
    ///
    /// # Errors
    /// [`Error::Limit`]: ask for a smaller slice. [`Error::Store`]: see there.
    pub async fn page(&self, page: &Page, owner: &str, at: Slice) -> Result<PageJson, Error> {
        let given = (&self.side.generation, page, owner, at.checked()?);
        let read = self.side.database.read(&given, |&(generation, page, owner, slice), rows| {
            Box::pin(async move {
                let list = generation.stored(page.view);
                let head = page.head.map(|head| generation.stored(head));
                let parts = read::parts(rows, page, list, head, owner, slice).await?;
                Ok(page::assemble(page, &generation.views, &generation.feed_id, &parts))
            })
        });
        read.await
    }

    /// A page's rows alone, of one owner or of everybody; who may see them is for the caller to know.
    ///
    /// # Errors
    /// As for [`Views::page`].
    pub async fn list(&self, page: &Page, owner: Option<&str>, at: Slice) -> Result<Listed, Error> {
        let given = (self.side.generation.stored(page.view), page, owner, at.checked()?);
        let read = self.side.database.read(&given, |&(list, page, owner, slice), rows| {
            Box::pin(async move {
                let listed = read::of_page(rows, list, page, owner, slice).await?;
                Ok(listed.show(list.view))
            })
        });
        read.await
    }

    /// The shown rows of one view of the text `owner`, else of the number written so, by key unless
    /// an order is named.
    ///
    /// # Errors
    /// [`Error::Unknown`]: no such view or column. Otherwise as for [`Views::page`].
    pub async fn rows(
        &self,
        view: &str,
        owner: &str,
        slice: Slice,
        order: Option<&SortBy>,
    ) -> Result<Listed, Error> {
        let slice = slice.checked()?;
        let list = self.stored(view)?;
        let order = match order {
            Some(order) => SortOrder {
                column: column(list.view, &order.column)?,
                descending: order.descending,
            },
            None => SortOrder { column: list.view.key, descending: false },
        };
        let given = (list, Owners::Either.meant(owner), SortedSlice { slice, order });
        let read = self.side.database.read(&given, |&(list, meant, window), rows| {
            Box::pin(async move {
                let listed = read::of_view(rows, list, meant, window).await?;
                Ok(listed.show(list.view))
            })
        });
        read.await
    }

    /// One shown row by its key; who may see it is for the caller to know.
    ///
    /// # Errors
    /// As for [`Views::rows`].
    pub async fn row(&self, view: &str, key: &str) -> Result<Option<Value>, Error> {
        let list = self.stored(view)?;
        let given = (list, key);
        let read = self
            .side
            .database
            .read(&given, |&(list, key), rows| Box::pin(read::named(rows, list, key)));
        let row = read.await.map_err(Error::Store)?.filter(Row::is_visible);
        Ok(row.map(|row| Value::Object(row.show(list.view))))
    }

    /// Resolves when everything up to `position` is folded; at once if its source is not read here.
    /// Its own events, not what follows from them. Dropping the future changes nothing.
    ///
    /// # Errors
    /// [`Waited`], per variant.
    pub async fn wait(&self, position: &WritePosition, at_most: Duration) -> Result<(), Waited> {
        self.side.progress.wait(None, position, at_most).await
    }

    /// The same for what one page shows: a position of a topic that it does not show is met at once.
    ///
    /// # Errors
    /// [`Waited`], per variant.
    pub async fn wait_page(
        &self,
        page: &Page,
        position: &WritePosition,
        at_most: Duration,
    ) -> Result<(), Waited> {
        let topics = Some(&page.topics);
        self.side.progress.wait(topics, position, at_most).await
    }

    /// The page's first rows as HTML, from memory while nothing changed.
    ///
    /// # Errors
    /// [`Error::Template`]: mend the template. [`Error::Store`]: see there.
    pub async fn html(
        &self,
        page: &Page,
        owner: &str,
        locale: Locale,
        encoding: Encoding,
    ) -> Result<Arc<Rendered>, Error> {
        rendering::html(self, page, owner, locale, encoding).await
    }

    /// The page's first rows as JSON, from memory while nothing changed.
    ///
    /// # Errors
    /// [`Error::Store`]: see there.
    pub async fn json(
        &self,
        page: &Page,
        owner: &str,
        encoding: Encoding,
    ) -> Result<Arc<Rendered>, Error> {
        rendering::json(self, page, owner, encoding).await
    }

    /// The changes of an owner's page after a position, the oldest first, at most `limit` (itself at
    /// most [`CHANGES_MAX`]) of them.
    ///
    /// # Errors
    /// [`Error::Store`]: see there.
    pub async fn changes(
        &self,
        page: &Page,
        owner: &str,
        after: &FeedPosition,
        limit: usize,
    ) -> Result<Changes, Error> {
        if after.feed != self.side.generation.feed_id {
            return Ok(Changes::TooOld);
        }
        let given = (self, page, owner, after.sequence, limit.min(CHANGES_MAX));
        let read = self.side.database.read(&given, |&(views, page, owner, after, limit), rows| {
            Box::pin(views.changes_after(rows, page, owner, after, limit))
        });
        read.await
    }

    async fn changes_after(
        &self,
        rows: &mut Rows<'_>,
        page: &Page,
        owner: &str,
        after: u64,
        limit: usize,
    ) -> Result<Changes, Error> {
        let found = feed::find(rows, page.index, page.owners.meant(owner)).await?;
        let nobody = OwnerVersion { owner: Owner::Text(""), version: feed::Version::default() };
        let OwnerVersion { owner, version: known } = found.unwrap_or(nobody);
        let extent = feed::extent(rows).await?;
        // The feed was set back since, with the folder it is in: what came then is not known.
        if after > extent.sequence {
            return Ok(Changes::TooOld);
        }
        // Nothing is missed by who has the newest there is, however long ago that was.
        if after >= known.position {
            return Ok(Changes::Some(Vec::new()));
        }
        if after < extent.floor.max(known.floor) {
            return Ok(Changes::TooOld);
        }
        let whose = OwnersPageRef { page: page.index, owner };
        let kept = feed::changes(rows, whose, known.position, after, limit).await?;
        Ok(Changes::Some(kept.into_iter().map(|kept| self.change(kept)).collect()))
    }

    /// Follows the changes of an owner's page: what is read after this call and before
    /// [`Watch::changed`] resolves is the newest.
    pub fn watch(&self, page: &Page, owner: &str) -> Watch {
        self.side.stamps.watch(page.index, page.owners.meant(owner))
    }

    /// Since when the page of an owner, or of everybody, has not followed the events, if so: the fold
    /// rests, a topic that it shows is behind, or an event of this owner was given up.
    pub fn stale_since(&self, page: &Page, owner: Option<&str>) -> Option<Timestamp> {
        let stale = &self.side.generation.stale;
        let owned = owner.and_then(|owner| stale.owned(page.index, page.owners.meant(owner)));
        stale.page(page.index).into_iter().chain(owned).min()
    }

    /// Why pages do not follow the events, if anything keeps them from it but an event that was given up.
    pub fn staleness(&self) -> Vec<Staleness> {
        self.side.generation.stale.reasons()
    }

    /// Says that the whole fold rests since then, or goes on.
    pub fn set_stale(&self, since: Option<Timestamp>) {
        let Generation { stale, pages, .. } = &self.side.generation;
        stale.set_rests(since, pages);
    }

    /// Looks how far behind the attached subscriptions are, every [`LOOK_EVERY`](behind::LOOK_EVERY), for pages to say
    /// so. Never resolves; drop it to end it.
    pub async fn watch_folds(&self) {
        behind::watch(&self.side).await;
    }

    fn stored(&self, name: &str) -> Result<ViewTable<'_>, Error> {
        let Generation { views, .. } = &self.side.generation;
        let found = views.iter().position(|view| view.name == name);
        found.map(|at| self.side.generation.stored(at)).ok_or_else(|| {
            let names = views.iter().map(|view| view.name.as_str());
            Error::Unknown(mistakes::unknown("view", name, names))
        })
    }

    fn change(&self, kept: feed::StoredChange) -> Change {
        let position =
            FeedPosition { feed: self.side.generation.feed_id.clone(), sequence: kept.sequence };
        Change { position, kind: kept.kind, row: kept.row }
    }
}

fn column(view: &View, name: &str) -> Result<usize, Error> {
    view.column(name).ok_or_else(|| Error::Unknown(mistakes::unknown("column", name, view.names())))
}
