//! Enums whose variants have a name in rows and bodies.

/// Gives an enum `ALL`, `as_str` and `parse` by one table of its names.
macro_rules! named {
    ($kind:ident { $($variant:ident => $name:literal,)* }) => {
        impl $kind {
            /// Every one.
            pub(super) const ALL: &'static [$kind] = &[$($kind::$variant),*];

            /// Its name in rows and bodies.
            pub(super) fn as_str(self) -> &'static str {
                match self {
                    $($kind::$variant => $name,)*
                }
            }

            /// The one of that name.
            pub(super) fn parse(text: &str) -> Option<$kind> {
                $kind::ALL.iter().copied().find(|it| it.as_str() == text)
            }
        }
    };
}
pub(crate) use named;
