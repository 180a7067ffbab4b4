//! A transaction's rows: statements with values, rows with columns, the same on every engine.

use crate::error::Error;
use crate::store::value::{Bind, Column, Value};
use crate::store::{EmbeddedRow, EmbeddedRows, ServedRow, ServedRows};

/// The rows of a database as one transaction sees them: what a read and a write have in common.
///
/// Statements are SQL that every engine speaks (`ON CONFLICT`, `RETURNING`), with `?1`, `?2` … for values. What is
/// read to be changed is read by a statement that ends in `FOR UPDATE`, keys ascending: where others write at the
/// same time they wait, and an engine with one writer leaves it out.
///
/// ```
/// use yeoul_events::Error;
/// use yeoul_events::store::Rows;
///
/// /// What is left of a product; `None` if there is none of that name.
/// async fn stock(rows: &mut Rows<'_>, name: &str) -> Result<Option<u32>, Error> {
///     rows.find("SELECT stock FROM product WHERE name = ?1", &[&name], |row| row.get(0)).await
/// }
/// ```
pub struct Rows<'t>(pub(super) Engine<'t>);

/// Whose rows they are.
pub(super) enum Engine<'t> {
    Embedded(EmbeddedRows<'t>),
    Served(ServedRows<'t>),
}

/// One row of an answer.
///
/// It borrows from the answer and is gone with the next one, so that a function makes something of it at once. A
/// column is read as the type that it has ([`get`](Row::get)), or as what its text stands for
/// ([`parse`](Row::parse)):
///
/// ```
/// use yeoul_events::Error;
/// use yeoul_events::store::{Row, Rows};
///
/// enum State {
///     Pending,
///     Placed,
/// }
///
/// struct Order {
///     id: u64,
///     note: Option<String>,
///     state: State,
/// }
///
/// fn state(word: &str) -> Option<State> {
///     match word {
///         "PENDING" => Some(State::Pending),
///         "PLACED" => Some(State::Placed),
///         _ => None,
///     }
/// }
///
/// fn order(row: &Row<'_>) -> Result<Order, Error> {
///     // By name, so that the order of columns is the statement's own affair; `NULL` is read as nothing.
///     Ok(Order { id: row.get("id")?, note: row.get("note")?, state: row.parse("state", state)? })
/// }
///
/// async fn find(rows: &mut Rows<'_>, id: u64) -> Result<Option<Order>, Error> {
///     rows.find("SELECT id, note, state FROM orders WHERE id = ?1", &[&id], order).await
/// }
/// ```
pub struct Row<'r>(Found<'r>);

enum Found<'r> {
    Embedded(EmbeddedRow<'r>),
    Served(ServedRow<'r>),
}

/// Which column of a row: its number from 0, or its name.
///
/// A number costs nothing; a name is looked up among the answer's columns, for every row.
pub trait At: Copy {
    /// The column's number in this row.
    #[doc(hidden)]
    fn number(self, row: &Row<'_>) -> Result<usize, Error>;
}

impl At for usize {
    fn number(self, _: &Row<'_>) -> Result<usize, Error> {
        Ok(self)
    }
}

impl At for &str {
    fn number(self, row: &Row<'_>) -> Result<usize, Error> {
        match &row.0 {
            Found::Embedded(row) => row.number(self),
            Found::Served(row) => row.number(self),
        }
    }
}

impl<'r> Row<'r> {
    /// One of the embedded engine's.
    pub(super) fn embedded(row: EmbeddedRow<'r>) -> Row<'r> {
        Row(Found::Embedded(row))
    }
}

impl Row<'_> {
    /// A column of it.
    ///
    /// # Errors
    /// [`Error::Statement`]: there is no such column, or what it holds is no `T`. [`Error::Decode`]: it is
    /// text and not UTF-8.
    pub fn get<T: Column>(&self, at: impl At) -> Result<T, Error> {
        let number = at.number(self)?;
        T::read(self.value(number)?).map_err(|what| Error::Statement {
            what: format!("{what} in column {}", self.name(number)),
        })
    }

    /// A column of text as what it stands for: one of a few words, a document.
    ///
    /// # Errors
    /// [`Error::Statement`]: there is no such column, or its text stands for nothing. [`Error::Decode`]: it
    /// is not UTF-8.
    pub fn parse<T>(&self, at: impl At, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let number = at.number(self)?;
        let parsed = match self.value(number)? {
            Value::Text(text) => parse(text),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let name = self.name(number);
            Error::Statement { what: format!("an unknown word in column {name}") }
        })
    }

    /// A column as it is stored: for whoever reads what may be hurt.
    ///
    /// # Errors
    /// [`Error::Statement`]: there is no such column. [`Error::Decode`]: it is text and not UTF-8.
    pub fn value(&self, number: usize) -> Result<Value<'_>, Error> {
        match &self.0 {
            Found::Embedded(row) => row.value(number),
            Found::Served(row) => row.value(number),
        }
    }

    /// A column's bytes, whether they are text or not; none of a number.
    pub(crate) fn bytes(&self, number: usize) -> Result<&[u8], Error> {
        match &self.0 {
            Found::Embedded(row) => row.bytes(number),
            Found::Served(row) => row.bytes(number),
        }
    }

    fn name(&self, number: usize) -> &str {
        match &self.0 {
            Found::Embedded(row) => row.name(number),
            Found::Served(row) => row.name(number),
        }
    }
}

impl<'t> Rows<'t> {
    /// What a read of the embedded engine sees.
    pub(super) fn embedded(rows: EmbeddedRows<'t>) -> Rows<'t> {
        Rows(Engine::Embedded(rows))
    }

    /// What a transaction on a server sees.
    pub(super) fn served(rows: ServedRows<'t>) -> Rows<'t> {
        Rows(Engine::Served(rows))
    }
}

impl Rows<'_> {
    /// Whether a column is of one type, as its table says, or takes any value and gives it back as it was. For whoever
    /// makes tables of what others define: there a value of another kind has to be refused, or kept as text.
    pub fn columns_are_typed(&self) -> bool {
        match &self.0 {
            Engine::Embedded(_) => false,
            Engine::Served(_) => true,
        }
    }

    /// The column of the outbox that has an event's key. Where work alone writes there, its subject is its key;
    /// writers in other languages say both.
    pub(crate) fn outbox_key(&self) -> &'static str {
        match &self.0 {
            Engine::Embedded(_) => "subject",
            Engine::Served(_) => "key",
        }
    }

    /// After which number a count begins that is new in this database; 0 where nothing was ever restored.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub async fn count_base(&mut self) -> Result<u64, Error> {
        let base = self.find("SELECT base FROM numbering", &[], |row| row.get(0)).await?;
        Ok(base.unwrap_or(0))
    }

    /// Runs a statement; how many rows it changed, those that were changed to what they had been included. That no row
    /// was there to be changed is an answer and no error:
    ///
    /// ```
    /// # use yeoul_events::Error;
    /// # use yeoul_events::store::Rows;
    /// /// Takes a piece where there is one left, by one statement: nobody else can take it in between.
    /// async fn take(rows: &mut Rows<'_>, product: &str) -> Result<bool, Error> {
    ///     let take = "UPDATE product SET stock = stock - 1 WHERE name = ?1 AND stock > 0";
    ///     Ok(rows.execute(take, &[&product]).await? == 1)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Statement`]: a broken constraint, or a mistake in it. [`Error::Environment`].
    pub async fn execute(&mut self, statement: &str, values: &[&dyn Bind]) -> Result<u64, Error> {
        match &mut self.0 {
            Engine::Embedded(rows) => rows.execute(statement, values),
            // Large, and for whoever waits anyway; the other engine carries none of it.
            Engine::Served(rows) => Box::pin(rows.execute(statement, values)).await,
        }
    }

    /// Inserts one row into a table whose key is `id`; the one that it was given. The statement returns nothing itself:
    /// one engine knows the id anyway, and builds a table of its own for whatever is `RETURNING`.
    ///
    /// # Errors
    /// As of [`execute`](Self::execute); [`Error::Statement`] where no row was inserted.
    pub async fn insert(&mut self, statement: &str, values: &[&dyn Bind]) -> Result<u64, Error> {
        match &mut self.0 {
            Engine::Embedded(rows) => rows.insert(statement, values),
            Engine::Served(_) => {
                let returning = format!("{statement} RETURNING id");
                self.one(&returning, values, |row| row.get(0)).await
            }
        }
    }

    /// The first row of an answer, if there is any.
    ///
    /// # Errors
    /// As of [`execute`](Self::execute), and what `read` refuses.
    pub async fn find<T, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        read: impl FnOnce(&Row<'_>) -> Result<T, E> + Send,
    ) -> Result<Option<T>, E> {
        match &mut self.0 {
            Engine::Embedded(rows) => rows.find(select, values, |row| read(&Row::embedded(row))),
            Engine::Served(rows) => {
                let read = |row: ServedRow<'_>| read(&Row(Found::Served(row)));
                Box::pin(rows.find(select, values, read)).await
            }
        }
    }

    /// The one row of an answer that always has one: a count, a row that was just written.
    ///
    /// # Errors
    /// As of [`find`](Self::find); [`Error::Statement`] where there is none.
    pub async fn one<T, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        read: impl FnOnce(&Row<'_>) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let found = self.find(select, values, read).await?;
        let none = || Error::Statement { what: format!("no row: {select}") };
        found.ok_or_else(|| E::from(none()))
    }

    /// Every row of an answer, in its order: give the statement a `LIMIT`.
    ///
    /// ```
    /// # use yeoul_events::Error;
    /// # use yeoul_events::store::Rows;
    /// /// A page of a table by its key, and never by counting rows over: the hundredth page costs what the first does.
    /// async fn after(rows: &mut Rows<'_>, id: i64) -> Result<Vec<(i64, String)>, Error> {
    ///     let select = "SELECT id, name FROM product WHERE id > ?1 ORDER BY id LIMIT 20";
    ///     rows.all(select, &[&id], |row| Ok((row.get(0)?, row.get(1)?))).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As of [`find`](Self::find).
    pub async fn all<T: Send, E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        mut read: impl FnMut(&Row<'_>) -> Result<T, E> + Send,
    ) -> Result<Vec<T>, E> {
        let mut all = Vec::new();
        let push = |row: &Row<'_>| {
            all.push(read(row)?);
            Ok::<_, E>(())
        };
        self.each(select, values, push).await?;
        Ok(all)
    }

    /// Shows every row of an answer, one at a time, until `show` refuses one.
    ///
    /// # Errors
    /// As of [`find`](Self::find).
    pub async fn each<E: From<Error>>(
        &mut self,
        select: &str,
        values: &[&dyn Bind],
        mut show: impl FnMut(&Row<'_>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        match &mut self.0 {
            Engine::Embedded(rows) => rows.each(select, values, |row| show(&Row::embedded(row))),
            Engine::Served(rows) => {
                let show = |row: ServedRow<'_>| show(&Row(Found::Served(row)));
                Box::pin(rows.each(select, values, show)).await
            }
        }
    }
}
