//! SQLite's JSON functions, with the names and types Diesel gives them.

use diesel::expression::functions::declare_sql_function;
use diesel::sql_types::{
    BigInt, Binary, Bool, Date, Double, Float, Integer, Json, Jsonb, MaybeNullableType, Nullable,
    Numeric, OneIsNullable, SingleValue, SmallInt, SqlType, Text, Time, Timestamp, Timestamptz,
    is_nullable,
};

/// `T`, or `Nullable<T>` for an argument that may be NULL.
pub trait MaybeNullableValue<T>: SingleValue {
    /// The resulting type.
    type Out: SingleValue;
}

impl<A, T> MaybeNullableValue<T> for A
where
    A: SingleValue,
    A::IsNull: MaybeNullableType<T>,
    <A::IsNull as MaybeNullableType<T>>::Out: SingleValue,
{
    type Out = <A::IsNull as MaybeNullableType<T>>::Out;
}

/// `T`, or `Nullable<T>` if this argument or `Other` may be NULL.
pub trait CombinedNullableValue<Other, T>: SingleValue {
    /// The resulting type.
    type Out: SingleValue;
}

impl<A, Other, T> CombinedNullableValue<Other, T> for A
where
    A: SingleValue,
    Other: SingleValue,
    A::IsNull: OneIsNullable<Other::IsNull>,
    <A::IsNull as OneIsNullable<Other::IsNull>>::Out: MaybeNullableType<T>,
    <<A::IsNull as OneIsNullable<Other::IsNull>>::Out as MaybeNullableType<T>>::Out: SingleValue,
{
    type Out = <<A::IsNull as OneIsNullable<Other::IsNull>>::Out as MaybeNullableType<T>>::Out;
}

macro_rules! one_of {
    ($(#[$attribute:meta])* $name:ident: $($sql_type:ident),*) => {
        $(#[$attribute])*
        pub trait $name: SingleValue {}

        $(
            impl $name for $sql_type {}
            impl $name for Nullable<$sql_type> {}
        )*
    };
}

one_of!(
    /// Text that may be NULL.
    #[diagnostic::on_unimplemented(message = "`{Self}` is neither `Text` nor `Nullable<Text>`")]
    MaybeText: Text
);
one_of!(
    /// Bytes that may be NULL.
    #[diagnostic::on_unimplemented(message = "`{Self}` is neither `Binary` nor `Nullable<Binary>`")]
    MaybeBinary: Binary
);
one_of!(
    /// Text or bytes that may be NULL.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is neither `Text`, `Binary` nor one of them in `Nullable<_>`"
    )]
    MaybeTextOrBinary: Text, Binary
);
one_of!(
    /// JSON as text that may be NULL.
    #[diagnostic::on_unimplemented(message = "`{Self}` is neither `Json` nor `Nullable<Json>`")]
    MaybeJson: Json
);
one_of!(
    /// JSON in either form that may be NULL.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is neither `Json`, `Jsonb` nor one of them in `Nullable<_>`"
    )]
    MaybeAnyJson: Json, Jsonb
);
one_of!(
    /// Any type except a BLOB, which JSON can't hold.
    #[diagnostic::on_unimplemented(
        message = "a value of type `{Self}` can't stand in JSON",
        note = "SQLite's JSON holds text, numbers, times and JSON, but no BLOBs"
    )]
    NotBlob: Text, Float, Double, Numeric, Bool, Integer, SmallInt, BigInt, Date, Time, Timestamp, Timestamptz, Json
);

/// SQLite's JSON functions. See <https://sqlite.org/json1.html>.
pub mod functions {
    #![allow(missing_docs)]

    use super::*;

    #[declare_sql_function(generate_return_type_helpers = true)]
    #[backends(crate::backend::Rqlite)]
    extern "SQL" {
        /// Checks that text is JSON, and removes unnecessary characters from it.
        fn json<E: MaybeText + MaybeNullableValue<Json>>(e: E) -> E::Out;

        /// Returns the binary form of JSON text given as bytes.
        fn jsonb<E: MaybeBinary + MaybeNullableValue<Jsonb>>(e: E) -> E::Out;

        /// Returns the number of elements of an array, or 0 for anything else.
        fn json_array_length<J: MaybeAnyJson + MaybeNullableValue<Integer>>(j: J) -> J::Out;

        /// Returns the number of elements of the array at a path, or NULL if there is nothing.
        #[sql_name = "json_array_length"]
        fn json_array_length_with_path<J: MaybeAnyJson>(j: J, path: Text) -> Nullable<Integer>;

        /// Returns the position of the first wrong character, counted from 1, or 0 if there is none.
        fn json_error_position<X: MaybeTextOrBinary + MaybeNullableValue<Integer>>(x: X) -> X::Out;

        /// Returns JSON with line ends and four blanks of indentation.
        fn json_pretty<J: MaybeAnyJson + MaybeNullableValue<Text>>(j: J) -> J::Out;

        /// Returns JSON with line ends and this indentation.
        #[sql_name = "json_pretty"]
        fn json_pretty_with_indentation<J: MaybeAnyJson + MaybeNullableValue<Text>>(
            j: J,
            indentation: Nullable<Text>,
        ) -> J::Out;

        /// Returns whether text is JSON.
        fn json_valid<J: MaybeJson + MaybeNullableValue<Bool>>(j: J) -> J::Out;

        /// Returns `null`, `true`, `false`, `integer`, `real`, `text`, `array` or `object`.
        fn json_type<J: MaybeAnyJson + MaybeNullableValue<Text>>(j: J) -> J::Out;

        /// Returns the type of the element at a path, or NULL if there is none.
        #[sql_name = "json_type"]
        fn json_type_with_path<J: MaybeAnyJson>(j: J, path: Text) -> Nullable<Text>;

        /// Returns a value as JSON.
        fn json_quote<J: SqlType + SingleValue>(j: J) -> Json;

        /// Returns all values as one array.
        #[aggregate]
        fn json_group_array<E: SqlType + SingleValue>(elements: E) -> Json;

        /// Returns all values as one array in binary form.
        #[aggregate]
        fn jsonb_group_array<E: SqlType + SingleValue>(elements: E) -> Jsonb;

        /// Returns all pairs of names and values as one object.
        #[aggregate]
        fn json_group_object<
            N: SqlType<IsNull = is_nullable::NotNull> + SingleValue,
            V: SqlType + SingleValue,
        >(
            names: N,
            values: V,
        ) -> Json;

        /// Returns all pairs of names and values as one object in binary form.
        #[aggregate]
        fn jsonb_group_object<
            N: SqlType<IsNull = is_nullable::NotNull> + SingleValue,
            V: SqlType + SingleValue,
        >(
            names: N,
            values: V,
        ) -> Jsonb;

        /// Returns an array of the arguments: `json_array_1(a)`, `json_array_2(a, b)`, …
        #[variadic(1)]
        fn json_array<V: NotBlob>(value: V) -> Json;

        /// Returns an array of the arguments in binary form.
        #[variadic(1)]
        fn jsonb_array<V: NotBlob>(value: V) -> Jsonb;

        /// Returns JSON without the elements at the paths: `json_remove_1(j, path)`, …
        #[variadic(1)]
        fn json_remove<J: MaybeAnyJson>(json: J, path: Text) -> Nullable<Json>;

        /// Returns JSON without the elements at the paths, in binary form.
        #[variadic(1)]
        fn jsonb_remove<J: MaybeAnyJson>(json: J, path: Text) -> Nullable<Jsonb>;

        /// Returns `target` changed by `patch`. The members of `patch` are set, and those that are `null` in it are
        /// removed (RFC 7396).
        fn json_patch<T: MaybeAnyJson, P: MaybeAnyJson + CombinedNullableValue<T, Json>>(
            target: T,
            patch: P,
        ) -> P::Out;

        /// Returns `target` changed by `patch`, in binary form.
        fn jsonb_patch<T: MaybeAnyJson, P: MaybeAnyJson + CombinedNullableValue<T, Jsonb>>(
            target: T,
            patch: P,
        ) -> P::Out;
    }
}
