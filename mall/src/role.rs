//! The roles of the mall's users, and what they are called in tokens and settings.

use chassis::identity;

/// What a user of the mall may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signed up, nothing more.
    User,
    /// May order.
    OrderCustomer,
    /// May change products and deliveries, and read events.
    OrderAdmin,
    /// May change users.
    UserAdmin,
}

impl Role {
    /// Every role there is; `roles` in the mall's settings has the same.
    pub const ALL: [Role; 4] = [Role::User, Role::OrderCustomer, Role::OrderAdmin, Role::UserAdmin];

    /// The role's name in tokens and in the domain.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "USER",
            Role::OrderCustomer => "ORDER_CUSTOMER",
            Role::OrderAdmin => "ORDER_ADMIN",
            Role::UserAdmin => "USER_ADMIN",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl From<Role> for identity::Role {
    fn from(role: Role) -> identity::Role {
        identity::Role::parse(role.as_str()).expect("a short plain name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_name_that_tokens_can_carry_and_is_known_by_it() {
        for role in Role::ALL {
            assert_eq!(identity::Role::from(role).as_str(), role.as_str());
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("order_admin"), None);
    }
}
