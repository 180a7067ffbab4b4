package points;

import io.cloudevents.CloudEvent;
import io.cloudevents.jackson.JsonFormat;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.CommandLineRunner;
import org.springframework.context.annotation.Profile;
import org.springframework.dao.DataAccessException;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
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

    private final Points points;
    private final RestClient yeoul;
    private final JsonMapper json;

    Worker(Points points, RestClient yeoul, JsonMapper json) {
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
        var answer = ask("pull", Map.of("limit", 10, "wait_s", 20, "lease_s", 5));
        var lease = answer.getHeaders().getFirst("Yeoul-Lease");
        var failed = new HashSet<String>();
        for (var one : json.readTree(answer.getBody())) {
            var event = new JsonFormat().deserialize(json.writeValueAsBytes(one));
            // What follows a failed one of its key left the lease with it, and comes again behind it.
            if (failed.contains(event.getSubject())) {
                continue;
            }
            var ids = List.of(event.getId());
            try {
                notify(event);
            } catch (DataAccessResourceFailureException | CannotCreateTransactionException away) {
                throw away; // no event's fault: the lease ends by itself
            } catch (RuntimeException why) {
                failed.add(event.getSubject());
                var reason = String.valueOf(why.getMessage());
                ask("nack", Map.of("lease", lease, "ids", ids, "reason", reason.substring(0, Math.min(200, reason.length()))));
                continue;
            }
            ask("ack", Map.of("lease", lease, "ids", ids));
        }
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
