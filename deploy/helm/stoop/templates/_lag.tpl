{{- /*
KEDA's triggers on stoop_lag. A worker on Kafka tells of its own partitions, so that they add up; one on NATS tells of the
whole consumer, as the others do.
*/ -}}
{{- define "stoop.lagTriggers" -}}
{{- range $name, $subscription := .Values.config.subscriptions }}
{{- $over := ternary "sum" "max" (hasKey $subscription "kafka") }}
{{- if or (hasKey $subscription "kafka") (hasKey $subscription "nats") }}
- type: prometheus
  metadata:
    serverAddress: {{ $.Values.keda.serverAddress | quote }}
    query: {{ printf "%s(stoop_lag{namespace=%q,subscription=%q})" $over $.Release.Namespace $name | squote }}
    threshold: {{ $.Values.keda.lagPerWorker | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}
