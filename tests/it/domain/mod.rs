//! Values and their parsing.

/// Phone numbers, as the reference reads them in each region.
mod phone_numbers;
