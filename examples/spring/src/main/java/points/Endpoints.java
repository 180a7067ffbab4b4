package points;

import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonFormat;
import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Profile;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.web.bind.MethodArgumentNotValidException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.ResourceAccessException;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestClientResponseException;
import org.springframework.web.method.annotation.HandlerMethodValidationException;
import tools.jackson.databind.json.JsonMapper;

/** What the till, Yeoul and customers ask for. */
@RestController
@Profile("!worker")
class Endpoints {
    private static final String NAME = "\\P{Cc}{1,100}";
    private static final long WON_PER_POINT = 100;

    record Purchase(@NotNull @Pattern(regexp = NAME) String customer, @Min(1) @Max(1_000_000_000) long won) {}

    record Redemption(@NotNull @Pattern(regexp = NAME) String customer, @Min(1) @Max(1_000_000_000) long points) {}

    record Customer(String customer, long points, List<String> notices) {}

    private final Points points;
    private final JdbcClient database;
    private final RestClient yeoul;
    private final JsonMapper json;
    private final Webhook webhook;

    Endpoints(Points points, JdbcClient database, RestClient yeoul, JsonMapper json, @Value("${points.secret}") String secret)
            throws Exception {
        this.points = points;
        this.database = database;
        this.yeoul = yeoul;
        this.json = json;
        this.webhook = new Webhook(secret);
    }

    /** The client's id is the event's: whoever asks again because no answer came publishes nothing twice. */
    @PutMapping("/purchases/{id}")
    @ResponseStatus(HttpStatus.ACCEPTED)
    void publishPurchase(@PathVariable @Pattern(regexp = NAME) String id, @Valid @RequestBody Purchase purchase) {
        var event = CloudEventBuilder.v1().withId(id).withSource(URI.create("/till")).withType("Purchased")
                .withSubject(purchase.customer()).withData("application/json", json.writeValueAsBytes(purchase)).build();
        // Structured: what is not ASCII stands in a body as it is.
        yeoul.post().uri("/events/purchase").contentType(MediaType.parseMediaType(JsonFormat.CONTENT_TYPE))
                .body(new JsonFormat().serialize(event)).retrieve().toBodilessEntity();
    }

    @ExceptionHandler
    ResponseEntity<String> refused(RestClientResponseException refusal) {
        var wait = refusal.getResponseHeaders().getFirst("Retry-After");
        return ResponseEntity.status(refusal.getStatusCode()).header("Retry-After", wait == null ? "1" : wait)
                .body(refusal.getResponseBodyAsString());
    }

    @ExceptionHandler
    ResponseEntity<String> away(ResourceAccessException away) {
        return ResponseEntity.status(503).header("Retry-After", "1").body("the purchase is not published: ask again");
    }

    /** 2xx acknowledges; whatever else this answers, the event comes again. The body is read as it came, for it is signed so. */
    @PostMapping("/events")
    ResponseEntity<String> receive(@RequestHeader HttpHeaders headers, @RequestBody byte[] body) {
        Map<String, List<String>> all = new HashMap<>();
        headers.forEach(all::put);
        try {
            webhook.verify(new String(body, StandardCharsets.UTF_8), all);
        } catch (WebhookVerificationException | IllegalArgumentException wrong) {
            return ResponseEntity.status(401).body(wrong.getMessage());
        }
        var event = HttpMessageFactory.createReaderFromMultimap(all, body).toEvent();
        if (event.getType().equals("Purchased")) { // publishers add kinds: others are none of our business
            var purchase = json.readValue(event.getData().toBytes(), Purchase.class);
            // Of the attributes only the id is signed, as the webhook's.
            points.earn(headers.getFirst("webhook-id"), purchase.customer(), purchase.won() / WON_PER_POINT);
        }
        return ResponseEntity.noContent().build();
    }

    @PutMapping("/redemptions/{id}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void redeem(@PathVariable @Pattern(regexp = NAME) String id, @Valid @RequestBody Redemption redemption) {
        points.redeem(id, redemption.customer(), redemption.points());
    }

    @ExceptionHandler
    ResponseEntity<String> tooFew(Points.TooFew why) {
        return ResponseEntity.status(409).body("there are not so many points");
    }

    @ExceptionHandler({MethodArgumentNotValidException.class, HandlerMethodValidationException.class})
    ResponseEntity<String> invalid(Exception why) {
        return ResponseEntity.status(422).body(why.getMessage());
    }

    @GetMapping("/customers/{customer}")
    Customer show(@PathVariable String customer) {
        var balance = database.sql("SELECT points FROM account WHERE customer = ?").param(customer)
                .query(Long.class).optional().orElse(0L);
        var notices = database.sql("SELECT text FROM notice WHERE customer = ? ORDER BY number").param(customer)
                .query(String.class).list();
        return new Customer(customer, balance, notices);
    }
}
