-- Recommended products shown on a day (UTC), and views that came from one. What was viewed is not
-- here: it is in Redis and in the snapshots of the index.
CREATE TABLE recommendation_days (
    day date PRIMARY KEY,
    shown_on_page bigint NOT NULL DEFAULT 0,
    shown_for_viewer bigint NOT NULL DEFAULT 0,
    clicked bigint NOT NULL DEFAULT 0,
    shown bigint NOT NULL GENERATED ALWAYS AS (shown_on_page + shown_for_viewer) STORED
);
