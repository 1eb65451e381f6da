-- What the shop sells: categories in three levels, and products.

-- One row. Every write of the catalogue locks it first and so waits for the writes before it: moves
-- make no cycles, and who has read all products up to a version has missed none.
CREATE TABLE catalogue_version (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO catalogue_version (version) VALUES (0);

CREATE TABLE categories (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    slug text NOT NULL UNIQUE CHECK (char_length(slug) <= 100 AND slug ~ '^[a-z0-9-]+$'),
    parent_id uuid REFERENCES categories (id),
    sort_order integer NOT NULL DEFAULT 0,
    depth smallint NOT NULL CHECK (depth BETWEEN 0 AND 2),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((parent_id IS NULL) = (depth = 0))
);
CREATE INDEX categories_parent_id_idx ON categories (parent_id);
CREATE INDEX categories_sort_order_idx ON categories (sort_order, created_at, id);

-- `number` counts products densely and is never given twice, also after a deletion: arrays are
-- indexed by it. `version` is a row's own: no two rows share one, so that a page may end anywhere.
-- `words` are the pieces of the name by which it is found, cut outside (kefu/catalogue/words.py).
CREATE TABLE products (
    id uuid PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    price numeric(12, 2) NOT NULL CHECK (price >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    image_url text CHECK (char_length(image_url) <= 2000),
    category_id uuid REFERENCES categories (id),
    stock integer CHECK (stock >= 0),
    is_active boolean NOT NULL DEFAULT true,
    key text CHECK (char_length(key) BETWEEN 1 AND 100),
    words tsvector NOT NULL,
    version bigint NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CHECK (deleted_at IS NULL OR category_id IS NULL)
);
CREATE UNIQUE INDEX products_key_key ON products (key) WHERE deleted_at IS NULL;
CREATE INDEX products_category_id_idx ON products (category_id, number DESC);
CREATE INDEX products_words_idx ON products USING gin (words);
