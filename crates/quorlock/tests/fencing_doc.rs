//! The statements of `docs/fencing.md`, word for word, on SQLite: what is old changes nothing.

use rusqlite::{Connection, params};

const DOC: &str = include_str!("../../../docs/fencing.md");
const EXAMPLE: &str = include_str!("../examples/fenced_store.rs");

fn statements() -> Vec<&'static str> {
    let blocks = DOC.split("```sql\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().trim()).collect()
}

#[test]
fn an_old_token_changes_nothing_in_a_row_that_has_its_own() {
    let store = Connection::open_in_memory().unwrap();
    store
        .execute_batch(
            "CREATE TABLE invoices (id INTEGER PRIMARY KEY, state TEXT, fence INTEGER NOT NULL DEFAULT 0);
             INSERT INTO invoices (id, state) VALUES (42, 'open');",
        )
        .unwrap();
    let statement = statements()[0];
    assert!(EXAMPLE.contains(statement), "the example has the same");
    let write =
        |state: &str, token: i64| store.execute(statement, params![state, token, 42]).unwrap();
    assert_eq!([write("first", 33), write("again", 33), write("later", 34)], [1, 1, 1]);
    assert_eq!(write("late", 33), 0);
    let state: String =
        store.query_row("SELECT state FROM invoices", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "later");
}

#[test]
fn an_old_token_changes_nothing_in_a_table_of_tokens() {
    let store = Connection::open_in_memory().unwrap();
    store
        .execute_batch("CREATE TABLE fences (resource TEXT PRIMARY KEY, fence INTEGER NOT NULL);")
        .unwrap();
    let [_, statement] = statements()[..] else { panic!("{:?}", statements()) };
    let enter =
        |resource: &str, token: i64| store.execute(statement, params![resource, token]).unwrap();
    assert_eq!([enter("a", 33), enter("a", 33), enter("a", 34), enter("b", 1)], [1, 1, 1, 1]);
    assert_eq!([enter("a", 33), enter("b", 0)], [0, 0]);
}
