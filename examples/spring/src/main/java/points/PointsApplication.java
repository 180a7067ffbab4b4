package points;

import java.time.Duration;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.web.client.RestClient;

/** Loyalty points beside a till; with the profile {@code worker}, what writes the notices of them. */
@SpringBootApplication
class PointsApplication {
    public static void main(String[] arguments) {
        SpringApplication.run(PointsApplication.class, arguments);
    }

    /** Longer than a worker waits for an event. */
    @Bean
    RestClient yeoul(@Value("${yeoul.url}") String url) {
        var requests = new JdkClientHttpRequestFactory();
        requests.setReadTimeout(Duration.ofSeconds(30));
        return RestClient.builder().baseUrl(url).requestFactory(requests).build();
    }
}
