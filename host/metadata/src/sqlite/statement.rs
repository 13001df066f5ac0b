//! SQL on the writer's own connection: no other thread has a part in it.

use super::error::unreadable;
use super::rows::{Columns, Field};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::Value;
use rusqlite::{Batch, Connection, Statement};
use sallyport_core::metadata::MetadataResult;
use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// SQL, of one statement or several, with the values of `$1`, `$2` and so on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    sql: &'static str,
    values: Vec<Value>,
}

impl Query {
    pub(super) fn of(sql: &'static str) -> Self {
        Self { sql, values: Vec::new() }
    }

    /// Adds the next value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The same for a connection that reads.
    pub(super) fn for_readers(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Real(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Blob(bytes) => query.bind(bytes),
        })
    }
}

/// A connection with all that it was asked before, prepared.
pub(super) struct Database<'c> {
    connection: &'c Connection,
    /// By where the SQL is in the program, which costs less to look up than what it says.
    scripts: HashMap<(usize, usize), Script<'c>>,
}

/// The statements of a query.
type Script<'c> = Vec<Prepared<'c>>;

struct Prepared<'c> {
    statement: Statement<'c>,
    /// The place among a query's values of each parameter.
    parameters: Vec<usize>,
    columns: Arc<[String]>,
}

impl<'c> Database<'c> {
    pub(super) fn on(connection: &'c Connection) -> Self {
        Self { connection, scripts: HashMap::new() }
    }
}

/// A [`Database`], whatever the lifetime of its connection.
pub(super) trait Runs {
    /// Runs all statements of a query, and hands over the rows of all. Answers how many rows they inserted, changed
    /// and deleted, without those of triggers and those that were handed over.
    ///
    /// # Errors
    /// What the first statement that failed says; those before it have taken place.
    fn run(&mut self, query: &Query, take: &mut dyn FnMut(Row)) -> rusqlite::Result<u64>;

    /// Whether a transaction is open: SQLite ends it by itself after some errors.
    fn is_in_transaction(&self) -> bool;
}

impl Runs for Database<'_> {
    fn run(&mut self, query: &Query, take: &mut dyn FnMut(Row)) -> rusqlite::Result<u64> {
        let script = match self.scripts.entry((query.sql.as_ptr().addr(), query.sql.len())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Batch::new(self.connection, query.sql).map(Prepared::from).collect()?),
        };
        let mut changed = 0;
        for prepared in script {
            changed += prepared.run(&query.values, take)?;
        }
        Ok(changed)
    }

    fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

impl<'c> Prepared<'c> {
    fn from(statement: Statement<'c>) -> rusqlite::Result<Self> {
        let number = |index| {
            let name = statement.parameter_name(index).unwrap_or_default();
            let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            let place = number.and_then(|number| number.checked_sub(1));
            place.ok_or_else(|| rusqlite::Error::InvalidParameterName(name.to_owned()))
        };
        let parameters = (1..=statement.parameter_count()).map(number).collect::<Result<_, _>>()?;
        let columns = statement.column_names().into_iter().map(str::to_owned).collect();
        Ok(Self { statement, parameters, columns })
    }

    fn run(&mut self, values: &[Value], take: &mut dyn FnMut(Row)) -> rusqlite::Result<u64> {
        for (index, place) in (1..).zip(&self.parameters) {
            let value = values.get(*place).ok_or(rusqlite::Error::InvalidParameterCount(values.len(), place + 1))?;
            self.statement.raw_bind_parameter(index, value)?;
        }
        if self.columns.is_empty() {
            return self.statement.raw_execute().map(|changed| changed as u64);
        }
        let mut rows = self.statement.raw_query();
        while let Some(row) = rows.next()? {
            let values = (0..self.columns.len()).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            take(Row { columns: Arc::clone(&self.columns), values });
        }
        Ok(0)
    }
}

/// A row that the writer read.
#[derive(Debug)]
pub(super) struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Columns for Row {
    fn column<'r, T: Field<'r>>(&'r self, column: &str) -> MetadataResult<T> {
        // Of two of one name the last counts, as it does to readers.
        let place = self.columns.iter().rposition(|name| name == column);
        let value = place.and_then(|place| self.values.get(place));
        value.and_then(T::of).ok_or_else(|| unreadable(format!("a column {column}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::rows::{get, number};

    const MAKE: &str = "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT, bytes BLOB)";
    const BOTH: &str = "INSERT INTO thing (id, name, bytes) VALUES ($2, $1, $3);
        INSERT INTO thing (id, name) VALUES ($2 + 1, $1)";

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(MAKE).expect("a table");
        connection
    }

    fn rows(database: &mut Database<'_>, query: &Query) -> rusqlite::Result<Vec<Row>> {
        let mut rows = Vec::new();
        database.run(query, &mut |row| rows.push(row))?;
        Ok(rows)
    }

    #[test]
    fn a_script_runs_whole_with_its_values_by_number() {
        let connection = connection();
        let mut database = Database::on(&connection);
        for id in [1, 3] {
            let query = Query::of(BOTH).bind("a".to_owned()).bind(id).bind(None::<Vec<u8>>);
            assert_eq!(database.run(&query, &mut |_row| ()), Ok(2));
        }
        let rows = rows(&mut database, &Query::of("SELECT * FROM thing ORDER BY id")).expect("rows");
        let ids: Vec<i64> = rows.iter().map(|row| number(row, "id").expect("a number")).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        let name: &str = get(&rows[3], "name").expect("a name");
        let bytes: Option<&[u8]> = get(&rows[3], "bytes").expect("none");
        assert_eq!((name, bytes), ("a", None));
        assert!(number(&rows[3], "name").is_err());
        assert!(number(&rows[3], "absent").is_err());
    }

    #[test]
    fn what_failed_can_be_run_again() {
        let connection = connection();
        let mut database = Database::on(&connection);
        let sql = "INSERT INTO thing (id, name) VALUES ($1, $2) RETURNING id";
        let mut insert = |id: i64| rows(&mut database, &Query::of(sql).bind(id).bind("b".to_owned()));
        assert_eq!(insert(1).map(|rows| rows.len()), Ok(1));
        assert!(insert(1).is_err());
        assert_eq!(insert(2).map(|rows| rows.len()), Ok(1));
    }

    #[test]
    fn a_value_too_few_is_an_error() {
        let connection = connection();
        let query = Query::of(BOTH).bind("a".to_owned()).bind(1);
        assert!(Database::on(&connection).run(&query, &mut |_row| ()).is_err());
    }
}
