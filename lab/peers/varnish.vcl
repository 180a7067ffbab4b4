vcl 4.1;
backend b { .host = "127.0.0.1"; .port = "{{origin_port}}"; }
sub vcl_backend_response { set beresp.ttl = 1h; }
