//! Whether a value fits an input type of the schema.

use std::borrow::Cow;

use async_graphql::{
    Name, Number, Value as ConstValue,
    indexmap::IndexMap,
    registry::{MetaInputValue, MetaType, MetaTypeName, Registry},
};
use async_graphql_value::Value;

/// What a value is, whether it is a constant or may hold variables.
pub(super) enum View<'a, V> {
    /// A variable, which fits everything here: its own type was checked by the schema's rules.
    Variable,
    Null,
    Number(&'a Number),
    Name(&'a str),
    List(&'a [V]),
    Object(&'a IndexMap<Name, V>),
    Other,
}

/// A value of a request: sent as a variable, or written in the document.
pub(super) trait Input: Sized {
    fn view(&self) -> View<'_, Self>;
    /// Itself as a constant; none where a variable is in it.
    fn constant(&self) -> Option<Cow<'_, ConstValue>>;
}

impl Input for ConstValue {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Null => View::Null,
            Self::Number(number) => View::Number(number),
            Self::String(text) => View::Name(text),
            Self::Enum(name) => View::Name(name),
            Self::List(items) => View::List(items),
            Self::Object(members) => View::Object(members),
            Self::Boolean(_) | Self::Binary(_) => View::Other,
        }
    }

    fn constant(&self) -> Option<Cow<'_, ConstValue>> {
        Some(Cow::Borrowed(self))
    }
}

impl Input for Value {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Variable(_) => View::Variable,
            Self::Null => View::Null,
            Self::Number(number) => View::Number(number),
            Self::String(text) => View::Name(text),
            Self::Enum(name) => View::Name(name),
            Self::List(items) => View::List(items),
            Self::Object(members) => View::Object(members),
            Self::Boolean(_) | Self::Binary(_) => View::Other,
        }
    }

    fn constant(&self) -> Option<Cow<'_, ConstValue>> {
        self.clone().into_const().map(Cow::Owned)
    }
}

/// Where a value does not fit, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Such as `input.products[3].quantity`.
    pub(super) field: String,
    pub(super) problem: String,
}

impl Misfit {
    fn new(problem: impl Into<String>) -> Self {
        Self {
            field: String::new(),
            problem: problem.into(),
        }
    }

    /// The same, seen from what the value is part of. Only a value that does not fit pays for its path.
    fn within(mut self, part: &str) -> Self {
        self.field.insert_str(0, part);
        self
    }
}

/// Checks the value called `name` against a type written as in the schema, such as `[ProductInput!]!`; the first
/// misfit in the order of the value counts, so that the same input always gets the same answer.
pub(super) fn check<V: Input>(registry: &Registry, ty: &str, value: &V, name: &str) -> Result<(), Misfit> {
    fits(registry, ty, value).map_err(|misfit| misfit.within(name))
}

fn fits<V: Input>(registry: &Registry, ty: &str, value: &V) -> Result<(), Misfit> {
    let misfit = || Err(Misfit::new(format!("a value of type {ty} is expected")));
    match (MetaTypeName::create(ty), value.view()) {
        (_, View::Variable) => Ok(()),
        (MetaTypeName::NonNull(_), View::Null) => misfit(),
        (MetaTypeName::NonNull(inner), _) => fits(registry, inner, value),
        (_, View::Null) => Ok(()),
        (MetaTypeName::List(inner), View::List(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| {
                fits(registry, inner, item).map_err(|misfit| misfit.within(&format!("[{index}]")))
            })
        }
        // A single value stands for a list of one.
        (MetaTypeName::List(inner), _) => fits(registry, inner, value),
        (MetaTypeName::Named(name), view) => match (registry.types.get(name), view) {
            (
                Some(MetaType::InputObject {
                    input_fields, oneof, ..
                }),
                View::Object(members),
            ) => object_fits(registry, input_fields, *oneof, members),
            (Some(MetaType::Enum { enum_values, .. }), View::Name(name))
                if enum_values.contains_key(name) =>
            {
                Ok(())
            }
            (Some(MetaType::InputObject { .. } | MetaType::Enum { .. }), _) => misfit(),
            (Some(MetaType::Scalar { is_valid, .. }), view) => {
                let fits = is_valid
                    .as_ref()
                    .is_none_or(|is_valid| value.constant().is_none_or(|it| is_valid(&it)));
                match (name, &view) {
                    // JSON's numbers lose digits from some size on, each reader from another.
                    ("ID", View::Number(_)) if !fits => Err(Misfit::new(
                        "an ID is a string, or a whole number below 2^63: send this one as a string",
                    )),
                    ("Int", view) if !is_int(view) => misfit(),
                    _ if fits => Ok(()),
                    _ => misfit(),
                }
            }
            // An output type or an unknown one: the schema's rules say so.
            _ => Ok(()),
        },
    }
}

/// The specification's Int has 32 bits; the engine finds that out only when it executes.
fn is_int<V>(view: &View<'_, V>) -> bool {
    matches!(view, View::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()))
}

fn object_fits<V: Input>(
    registry: &Registry,
    fields: &IndexMap<String, MetaInputValue>,
    oneof: bool,
    members: &IndexMap<Name, V>,
) -> Result<(), Misfit> {
    for (name, value) in members {
        let fit = match fields.get(name.as_str()) {
            Some(known) => fits(registry, &known.ty, value),
            None => Err(Misfit::new("there is no such field")),
        };
        fit.map_err(|misfit| misfit.within(&format!(".{name}")))?;
    }
    if oneof && (members.len() != 1 || matches!(members[0].view(), View::Null)) {
        return Err(Misfit::new("exactly one field is expected"));
    }
    let missing = fields.values().find(|field| {
        MetaTypeName::create(&field.ty).is_non_null()
            && field.default_value.is_none()
            && !members.contains_key(field.name.as_str())
    });
    missing.map_or(Ok(()), |field| {
        let misfit = Misfit::new(format!("a value of type {} is missing", field.ty));
        Err(misfit.within(&format!(".{}", field.name)))
    })
}
