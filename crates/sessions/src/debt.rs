//! What is owed when a sign-in ends: its giver hears of a token.
//!
//! It does not know how debts are kept, nor how they are paid.

/// A token whose giver has to hear that its sign-in has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The token.
    pub token: String,
    /// Its sign-in, where that is known.
    pub session: Option<String>,
    /// Whether it renews its sign-in. One that does not opens nothing once that has ended, and needs
    /// no place here when it cannot be taken back.
    pub renews: bool,
}

/// Somebody has still to be notified that this token's sign-in has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Its place in the order in which debts were made.
    pub number: i64,
    /// The token.
    pub token: String,
}
