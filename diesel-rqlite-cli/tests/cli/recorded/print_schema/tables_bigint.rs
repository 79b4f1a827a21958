// @generated automatically by Diesel CLI.

diesel::table! {
    #[sql_name = "3d"]
    _3d (id) {
        id -> BigInt,
        #[sql_name = "my key"]
        my_key -> Nullable<Integer>,
    }
}

diesel::table! {
    CamelCase (Id) {
        Id -> BigInt,
        SomeName -> Nullable<Text>,
    }
}

diesel::table! {
    counted (id) {
        id -> Nullable<BigInt>,
        name -> Nullable<Text>,
    }
}

diesel::table! {
    documents (rowid) {
        rowid -> BigInt,
        title -> Nullable<Binary>,
        body -> Nullable<Binary>,
        #[sql_name = "documents"]
        documents_ -> Nullable<Binary>,
        rank -> Nullable<Binary>,
    }
}

diesel::table! {
    documents_config (k) {
        k -> Binary,
        v -> Nullable<Binary>,
    }
}

diesel::table! {
    documents_content (id) {
        id -> Nullable<BigInt>,
        c0 -> Nullable<Binary>,
        c1 -> Nullable<Binary>,
    }
}

diesel::table! {
    documents_data (id) {
        id -> Nullable<BigInt>,
        block -> Nullable<Binary>,
    }
}

diesel::table! {
    documents_docsize (id) {
        id -> Nullable<BigInt>,
        sz -> Nullable<Binary>,
    }
}

diesel::table! {
    documents_idx (segid, term) {
        segid -> Binary,
        term -> Binary,
        pgno -> Nullable<Binary>,
    }
}

diesel::table! {
    generated (id) {
        id -> BigInt,
        a -> Integer,
        double_a -> Nullable<Integer>,
        text_a -> Nullable<Text>,
        untyped -> Nullable<Binary>,
        moment -> Nullable<Date>,
    }
}

diesel::table! {
    integer_without_rowid (id) {
        id -> Integer,
        child_of -> Nullable<Integer>,
    }
}

diesel::table! {
    it_ends_ (id) {
        id -> BigInt,
        #[sql_name = "__internal"]
        __internal_ -> Nullable<Text>,
        #[sql_name = "it_ends_"]
        it_ends__ -> Nullable<Text>,
    }
}

diesel::table! {
    long_table (id) {
        id -> BigInt,
        c01 -> Nullable<Text>,
        c02 -> Nullable<Text>,
        c03 -> Nullable<Text>,
        c04 -> Nullable<Text>,
        c05 -> Nullable<Text>,
        c06 -> Nullable<Text>,
        c07 -> Nullable<Text>,
        c08 -> Nullable<Text>,
        c09 -> Nullable<Text>,
        c10 -> Nullable<Text>,
        c11 -> Nullable<Text>,
        c12 -> Nullable<Text>,
        c13 -> Nullable<Text>,
        c14 -> Nullable<Text>,
        c15 -> Nullable<Text>,
        c16 -> Nullable<Text>,
        c17 -> Nullable<Text>,
        c18 -> Nullable<Text>,
        c19 -> Nullable<Text>,
        c20 -> Nullable<Text>,
        c21 -> Nullable<Text>,
        c22 -> Nullable<Text>,
        c23 -> Nullable<Text>,
        c24 -> Nullable<Text>,
        c25 -> Nullable<Text>,
        c26 -> Nullable<Text>,
        c27 -> Nullable<Text>,
        c28 -> Nullable<Text>,
        c29 -> Nullable<Text>,
        c30 -> Nullable<Text>,
        c31 -> Nullable<Text>,
        c32 -> Nullable<Text>,
        c33 -> Nullable<Text>,
        c34 -> Nullable<Text>,
        c35 -> Nullable<Text>,
        c36 -> Nullable<Text>,
        c37 -> Nullable<Text>,
        c38 -> Nullable<Text>,
        c39 -> Nullable<Text>,
        c40 -> Nullable<Text>,
        a_column_with_a_name_that_is_longer_than_any_line_of_rust_should_be_by_the_rules_of_rustfmt_which_allows_one_hundred -> Nullable<Integer>,
    }
}

diesel::table! {
    #[sql_name = "my table"]
    my_table (my_column) {
        #[sql_name = "my column"]
        my_column -> BigInt,
        #[sql_name = "1st"]
        _1st -> Nullable<Text>,
        #[sql_name = "a--b"]
        a_b -> Nullable<Text>,
        #[sql_name = r##"a "quoted" #1"##]
        a_quoted_1 -> Nullable<Text>,
        #[sql_name = "Größe"]
        Gr_e -> Nullable<Float>,
        #[sql_name = "it's"]
        it_s -> Nullable<Text>,
    }
}

diesel::table! {
    no_key (rowid) {
        rowid -> BigInt,
        a -> Text,
        b -> Nullable<Integer>,
    }
}

diesel::table! {
    refers (id) {
        id -> BigInt,
        wide -> Nullable<BigInt>,
        narrow -> Nullable<Integer>,
        other -> Nullable<BigInt>,
    }
}

diesel::table! {
    rowid_taken (oid) {
        oid -> BigInt,
        rowid -> Text,
        b -> Nullable<Integer>,
    }
}

diesel::table! {
    select (id) {
        id -> BigInt,
        #[sql_name = "type"]
        type_ -> Text,
        #[sql_name = "select"]
        select_ -> Nullable<Text>,
        #[sql_name = "is_nullable"]
        is_nullable_ -> Nullable<Bool>,
        #[sql_name = "columns"]
        columns_ -> Nullable<Text>,
        #[sql_name = "self"]
        self_ -> Nullable<Integer>,
        union -> Nullable<Text>,
    }
}

diesel::table! {
    strict_table (id) {
        id -> BigInt,
        i -> Nullable<Integer>,
        r -> Nullable<Float>,
        t -> Text,
        b -> Nullable<Binary>,
    }
}

diesel::table! {
    text_key (code) {
        code -> Text,
        value -> Nullable<Binary>,
    }
}

diesel::table! {
    two_taken (_rowid_) {
        _rowid_ -> BigInt,
        rowid -> Text,
        oid -> Nullable<Text>,
    }
}

diesel::table! {
    #[sql_name = "type"]
    type_ (where_) {
        #[sql_name = "where"]
        where_ -> BigInt,
        select_id -> BigInt,
    }
}

diesel::table! {
    without_rowid (a, b) {
        a -> Integer,
        b -> Text,
        c -> Nullable<Float>,
    }
}

diesel::joinable!(_3d -> my_table (my_key));
diesel::joinable!(refers -> counted (wide));
diesel::joinable!(refers -> integer_without_rowid (narrow));
diesel::joinable!(refers -> text_key (other));
diesel::joinable!(type_ -> select (select_id));

diesel::allow_tables_to_appear_in_same_query!(
    _3d,
    CamelCase,
    counted,
    documents,
    documents_config,
    documents_content,
    documents_data,
    documents_docsize,
    documents_idx,
    generated,
    integer_without_rowid,
    it_ends_,
    long_table,
    my_table,
    no_key,
    refers,
    rowid_taken,
    select,
    strict_table,
    text_key,
    two_taken,
    type_,
    without_rowid,
);
