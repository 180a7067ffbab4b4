package points;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;
import tools.jackson.databind.json.JsonMapper;

/**
 * Points in PostgreSQL, with an event for each change in the same transaction: each method here is one, which commits, or
 * rolls back if anything is thrown.
 */
@Service
@Transactional
class Points {
    record Change(String customer, long points, long balance) {}

    static class TooFew extends RuntimeException {}

    private final JdbcClient database;
    private final JsonMapper json;

    Points(JdbcClient database, JsonMapper json) {
        this.database = database;
        this.json = json;
    }

    void earn(String event, String customer, long points) {
        if (!isNew(event)) {
            return;
        }
        var balance = database.sql("""
                INSERT INTO account VALUES (?, ?) ON CONFLICT (customer)
                DO UPDATE SET points = account.points + excluded.points RETURNING points""")
                .params(customer, points).query(Long.class).single();
        publish("PointsEarned", new Change(customer, points, balance));
    }

    void redeem(String id, String customer, long points) {
        if (!isNew("redemption/" + id)) {
            return;
        }
        var balance = database.sql("""
                UPDATE account SET points = points - ? WHERE customer = ? AND points >= ? RETURNING points""")
                .params(points, customer, points).query(Long.class).optional().orElseThrow(TooFew::new);
        publish("PointsSpent", new Change(customer, points, balance));
    }

    void write(String event, String customer, String text) {
        if (isNew(event)) {
            database.sql("INSERT INTO notice (customer, text) VALUES (?, ?)").params(customer, text).update();
        }
    }

    /** Notes it, in the transaction of its effect. */
    private boolean isNew(String what) {
        return database.sql("INSERT INTO handled VALUES (?) ON CONFLICT DO NOTHING").param(what).update() == 1;
    }

    /** An event by SQL, last in its transaction: until that is over nobody else publishes in its partition. */
    private void publish(String type, Change change) {
        database.sql("INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ('points', ?, ?, ?)")
                .params(change.customer(), type, json.writeValueAsString(change)).update();
    }
}
