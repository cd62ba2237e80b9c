//! What is ordered, and how much of it.

use std::{ops::Deref, sync::Arc};

use crate::{InvalidInput, Problem, text};

/// The most products that one order may have.
pub(crate) const MAX_PRODUCTS: usize = 100;
/// The most bytes of UTF-8 that all names of one order may have together.
pub(crate) const MAX_NAMES_BYTES: usize = 8 * 1024;
pub(crate) const MAX_NAME_CHARS: usize = 200;
pub(crate) const MAX_QUANTITY: u16 = 1000;

/// A product's name: 1 to 200 characters that can be read, without white space around them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProductName(Arc<str>);

impl ProductName {
    /// Trims and checks a name.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let name = text.trim();
        let problem = if name.chars().count() > MAX_NAME_CHARS {
            Problem::NameTooLong
        } else if name.chars().any(text::misleads) {
            Problem::Misleading
        } else if !name.chars().any(text::is_visible) {
            Problem::BlankName
        } else {
            return Ok(Self(name.into()));
        };
        Err(InvalidInput::new("name", problem))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many of a product: 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantity(u16);

impl Quantity {
    /// Checks a number.
    pub fn parse(number: i64) -> Result<Self, InvalidInput> {
        match u16::try_from(number) {
            Ok(quantity @ 1..=MAX_QUANTITY) => Ok(Self(quantity)),
            _ => Err(InvalidInput::new("quantity", Problem::Quantity)),
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Product {
    /// What is ordered.
    pub name: ProductName,
    /// How many of it.
    pub quantity: Quantity,
}

/// The lines of an order: 1 to 100, their names together at most 8 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Products(Arc<[Product]>);

impl Products {
    /// Checks the lines as (name, quantity), in the order in which they were sent.
    pub fn parse<S: AsRef<str>>(lines: impl IntoIterator<Item = (S, i64)>) -> Result<Self, InvalidInput> {
        let mut products = Vec::new();
        for (index, (name, quantity)) in lines.into_iter().enumerate() {
            if index == MAX_PRODUCTS {
                return Err(InvalidInput::new("products", Problem::TooManyProducts));
            }
            let at = |invalid: InvalidInput| invalid.within(&format!("products[{index}]"));
            products.push(Product {
                name: ProductName::parse(name.as_ref()).map_err(at)?,
                quantity: Quantity::parse(quantity).map_err(at)?,
            });
        }
        if products.is_empty() {
            return Err(InvalidInput::new("products", Problem::NoProducts));
        }
        if products.iter().map(|product| product.name.0.len()).sum::<usize>() > MAX_NAMES_BYTES {
            return Err(InvalidInput::new("products", Problem::NamesTooLong));
        }
        Ok(Self(products.into()))
    }

    /// The lines as they were recorded: a name that was accepted once stays, whatever the rules are now.
    pub fn recorded<S: Into<Arc<str>>>(
        lines: impl IntoIterator<Item = (S, i64)>,
    ) -> Result<Self, InvalidInput> {
        let product = |(name, quantity): (S, i64)| {
            Ok(Product {
                name: ProductName(name.into()),
                quantity: Quantity::parse(quantity)?,
            })
        };
        lines.into_iter().map(product).collect::<Result<_, _>>().map(Self)
    }
}

impl Deref for Products {
    type Target = [Product];

    fn deref(&self) -> &[Product] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(lines: Vec<(String, i64)>) -> (String, Problem) {
        let invalid = Products::parse(lines).unwrap_err();
        (invalid.field, invalid.problem)
    }

    fn line(name: &str, quantity: i64) -> (String, i64) {
        (name.to_owned(), quantity)
    }

    #[test]
    fn names_are_trimmed_and_their_order_kept() {
        let products = Products::parse([("  Dal  ", 1), ("Ragù\u{a0}", 1000)]).unwrap();
        let lines: Vec<_> = products
            .iter()
            .map(|p| (p.name.as_str(), p.quantity.get()))
            .collect();
        assert_eq!(lines, [("Dal", 1), ("Ragù", 1000)]);
    }

    #[test]
    fn each_broken_rule_is_named_with_its_place() {
        let at = |field: &str, problem| (field.to_owned(), problem);
        let good = || line("Dal", 1);
        assert_eq!(refused(vec![]), at("products", Problem::NoProducts));
        assert_eq!(
            refused(vec![good(); 101]),
            at("products", Problem::TooManyProducts)
        );
        assert_eq!(
            refused(vec![good(), line(" \t ", 1)]),
            at("products[1].name", Problem::BlankName)
        );
        assert_eq!(
            refused(vec![line(&"x".repeat(201), 1)]),
            at("products[0].name", Problem::NameTooLong)
        );
        assert_eq!(
            refused(vec![line("a\nb", 1)]),
            at("products[0].name", Problem::Misleading)
        );
        assert_eq!(
            refused(vec![line(&"ü".repeat(200), 1); 21]),
            at("products", Problem::NamesTooLong)
        );
        for quantity in [0, -1, 1001, i64::MAX, i64::MIN, 65_537] {
            let field = "products[1].quantity";
            assert_eq!(
                refused(vec![good(), line("Roti", quantity)]),
                at(field, Problem::Quantity)
            );
        }
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        assert_eq!(Products::parse(vec![line("Dal", 1000); 100]).unwrap().len(), 100);
        // 40 names of 200 characters and one of 192: 8,192 bytes.
        let mut lines = vec![line(&"x".repeat(200), 1); 40];
        lines.push(line(&"x".repeat(192), 1));
        assert!(Products::parse(lines.clone()).is_ok());
        lines.push(line("x", 1));
        assert_eq!(refused(lines).1, Problem::NamesTooLong);
    }

    #[test]
    fn every_problem_comes_with_words_and_a_hint() {
        let invalid = Products::parse([("Dal", 0)]).unwrap_err();
        assert_eq!(
            invalid.to_string(),
            "products[0].quantity: a quantity is a whole number from 1 to 1000"
        );
        assert_eq!(invalid.problem.hint(), "Give a quantity from 1 to 1000.");
    }
}
