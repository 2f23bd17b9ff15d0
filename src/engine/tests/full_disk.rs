//! A database whose disk is full when it is told so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::{Any, AnyPool, Executor, Transaction};

use crate::engine::store::Dialect;

type Begun = Transaction<'static, Any>;

/// The room that a disk has left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    room: Arc<Mutex<Room>>,
    /// SQLite's one writing connection takes no writes.
    is_closed: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Room {
    #[default]
    Enough,
    /// For so many transactions.
    For(usize),
    /// Somebody found none.
    None,
}

impl Disk {
    /// From the transaction after `left` others on, nothing can be written.
    pub(crate) fn fill_after(&self, left: usize) {
        *self.room.lock().unwrap() = Room::For(left);
    }

    /// Makes room again; tells whether somebody had found none.
    pub(crate) fn mend(&self) -> bool {
        matches!(std::mem::take(&mut *self.room.lock().unwrap()), Room::None)
    }

    /// Lets a transaction begin on the connection that the last one left closed.
    pub(crate) async fn before(&self, writer: &AnyPool) -> Result<(), sqlx::Error> {
        if self.is_closed.swap(false, Ordering::SeqCst) {
            writer.execute("PRAGMA query_only = OFF").await?;
        }
        Ok(())
    }

    /// A transaction has begun: where the disk is full, each of its writes fails, as a real one's do.
    pub(crate) async fn begun(&self, dialect: Dialect, mut on: Begun) -> Result<Begun, sqlx::Error> {
        if !self.take() {
            return Ok(on);
        }
        match dialect {
            Dialect::Sqlite => {
                self.is_closed.store(true, Ordering::SeqCst);
                on.execute("PRAGMA query_only = ON").await?
            }
            Dialect::Postgres => on.execute("SET TRANSACTION READ ONLY").await?,
        };
        Ok(on)
    }

    /// A table is written anew, beside the old one.
    pub(crate) fn rewrite(&self) -> Result<(), sqlx::Error> {
        if self.take() { Err(sqlx::Error::Io(std::io::ErrorKind::StorageFull.into())) } else { Ok(()) }
    }

    fn take(&self) -> bool {
        let mut room = self.room.lock().unwrap();
        *room = match *room {
            Room::Enough => Room::Enough,
            Room::For(0) | Room::None => Room::None,
            Room::For(left) => Room::For(left - 1),
        };
        matches!(*room, Room::None)
    }
}
