package points;

import io.cloudevents.CloudEvent;
import io.cloudevents.jackson.JsonFormat;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.CommandLineRunner;
import org.springframework.context.annotation.Profile;
import org.springframework.dao.DataAccessException;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.CannotCreateTransactionException;
import org.springframework.transaction.TransactionException;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestClientException;
import tools.jackson.databind.json.JsonMapper;

/** Writes a notice for each change of a customer's points, fetching the events from Yeoul. Any number of these may run. */
@Component
@Profile("worker")
class Worker implements CommandLineRunner {
    private static final Logger LOG = LoggerFactory.getLogger(Worker.class);
    private static final Map<String, String> TEXTS = Map.of(
            "PointsEarned", "You earned %d points and have %d now.",
            "PointsSpent", "You spent %d points and have %d left.");

    private final JdbcClient database;
    private final Points points;
    private final RestClient yeoul;
    private final JsonMapper json;

    Worker(JdbcClient database, Points points, RestClient yeoul, JsonMapper json) {
        this.database = database;
        this.points = points;
        this.yeoul = yeoul;
        this.json = json;
    }

    @Override
    public void run(String... arguments) throws InterruptedException {
        while (true) {
            try {
                work();
            } catch (RestClientException | DataAccessException | TransactionException away) {
                LOG.warn("asked again in a second: {}", away.getMessage()); // or the lease has ended
                Thread.sleep(1_000);
            }
        }
    }

    /** One lease: what is in it is this worker's for so long, and of its keys nobody else has any. */
    private void work() {
        database.sql("SELECT 1").query().singleValue(); // nothing is fetched that could not be handled
        var answer = ask("pull", Map.of("limit", 10, "wait_s", 20, "lease_s", 5));
        var lease = answer.getHeaders().getFirst("Yeoul-Lease");
        var failed = new HashSet<String>();
        for (var one : json.readTree(answer.getBody())) {
            var subject = one.path("subject").asString("");
            // What follows a failed one of its key left the lease with it, and comes again behind it.
            if (failed.contains(subject)) {
                continue;
            }
            var ids = List.of(one.path("id").asString());
            try {
                notify(new JsonFormat().deserialize(json.writeValueAsBytes(one)));
            } catch (RuntimeException why) {
                if (isAway(why)) { // no event's fault: all that is left is given back, and no attempt is used up
                    ask("nack", Map.of("lease", lease, "mode", "silent"));
                    throw why;
                }
                failed.add(subject);
                var reason = String.valueOf(why.getMessage());
                ask("nack", Map.of("lease", lease, "ids", ids, "reason", reason.substring(0, Math.min(200, reason.length()))));
                continue;
            }
            ask("ack", Map.of("lease", lease, "ids", ids));
        }
    }

    /** The database failed, and not what was asked of it: no connection, or PostgreSQL ends, starts or is full. */
    private static boolean isAway(RuntimeException why) {
        for (Throwable cause = why; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLException said && said.getSQLState() != null) {
                return said.getSQLState().matches("(08|53|57P).*");
            }
        }
        return why instanceof CannotCreateTransactionException; // of a pool that has no connection
    }

    private void notify(CloudEvent event) {
        var text = TEXTS.get(event.getType());
        if (text == null) {
            return;
        }
        var data = json.readValue(event.getData().toBytes(), Points.Change.class);
        var what = event.getSource() + "/" + event.getId();
        points.write(what, data.customer(), text.formatted(data.points(), data.balance()));
    }

    private ResponseEntity<byte[]> ask(String what, Map<String, ?> said) {
        return yeoul.post().uri("/subscriptions/notify/{what}", what).contentType(MediaType.APPLICATION_JSON)
                .body(json.writeValueAsBytes(said)).retrieve().toEntity(byte[].class);
    }
}
