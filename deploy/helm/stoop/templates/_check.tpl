{{- /* Refuses what would lose events, never start, or have rights that nobody asked for. */ -}}
{{- define "stoop.check" -}}
{{- $config := include "stoop.config" . | fromJson -}}
{{- $journals := include "stoop.journals" . | fromJson -}}
{{- range list "namespace" "playbooks" -}}
{{- if hasKey $.Values.config . -}}
{{- fail (printf "config.%s: that is the chart's to say: leave it out" .) -}}
{{- end -}}
{{- end -}}
{{- if not $config.subscriptions -}}
{{- fail "config.subscriptions: name one: where do events come from? A worker without any listens on a loopback that nobody in the cluster reaches" -}}
{{- end -}}
{{- if and .Values.existingPlaybooks .Values.playbooks -}}
{{- fail "existingPlaybooks: leave it or playbooks out: they are read from one ConfigMap" -}}
{{- end -}}
{{- if and .Values.existingPlaybooks .Values.rbac.create (not .Values.rbac.rules) -}}
{{- fail "rbac.rules: what the playbooks of existingPlaybooks take on the API server can't be seen from here: give the rules that `stoop rbac` prints, or apply what it prints yourself with rbac.create: false" -}}
{{- end -}}
{{- if not (or .Values.existingPlaybooks .Values.playbooks (eq $config.playbookObjects true)) -}}
{{- fail "playbooks: there is none: every event would be acknowledged unanswered; those that are objects take config.playbookObjects" -}}
{{- end -}}
{{- if and .Values.rbac.objects (not (eq $config.playbookObjects true)) -}}
{{- fail "rbac.objects: without config.playbookObjects nobody needs these rights: leave them out" -}}
{{- end -}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name: the workers' rights would be those of every pod without an account: name one of their own" -}}
{{- end -}}
{{- if not (include "stoop.healthPort" .) -}}
{{- fail "config.health.listen: the kubelet's probes don't reach a loopback: listen on 0.0.0.0" -}}
{{- end -}}
{{- include "stoop.checkJournals" (dict "journals" $journals "Values" .Values) -}}
{{- include "stoop.checkEvidence" (dict "config" $config "Values" .Values) -}}
{{- include "stoop.checkAudit" (dict "config" $config "journals" $journals) -}}
{{- if and .Values.captures.createNamespace (not $config.captureNamespace) -}}
{{- fail "captures.createNamespace: config.captureNamespace says which" -}}
{{- end -}}
{{- if eq (default "" $config.captureNamespace) .Release.Namespace -}}
{{- fail "config.captureNamespace: capture jobs need more than the workers' own namespace allows: name another" -}}
{{- end -}}
{{- include "stoop.checkScaling" . -}}
{{- end -}}

{{- define "stoop.checkJournals" -}}
{{- range $name, $journal := .journals -}}
{{- if not (hasPrefix "/var/lib/stoop/" $journal.path) -}}
{{- fail (printf "config.subscriptions.%s.journal.path: only /var/lib/stoop outlives the pod: leave path out" $name) -}}
{{- end -}}
{{- end -}}
{{- if .journals -}}
{{- range .Values.volumeMounts -}}
{{- if or (eq .name "journals") (eq .mountPath "/var/lib/stoop") (hasPrefix "/var/lib/stoop/" .mountPath) -}}
{{- fail (printf "volumeMounts: %s is the journals' own volume: what else is mounted there may not outlive the pod, and events would be lost" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- if or .Values.keda.enabled .Values.hpa.enabled -}}
{{- fail "keda, hpa: a journal is its worker's own, and scaling down would leave its events behind: set replicas" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* One writer has an audit log, and it has to be there for the next. */ -}}
{{- define "stoop.checkAudit" -}}
{{- $file := default "" (default dict .config.audit).file | toString -}}
{{- if and $file (not (and .journals (hasPrefix "/var/lib/stoop/" $file))) -}}
{{- fail "config.audit.file: only a worker with a journal has a volume of its own, at /var/lib/stoop: put it there, or leave it out and keep what is on standard output" -}}
{{- end -}}
{{- end -}}

{{- /* A folder of evidence has to be a volume that stays. */ -}}
{{- define "stoop.checkEvidence" -}}
{{- $url := default "" (default dict .config.evidence).url | toString -}}
{{- if hasPrefix "file://" $url -}}
{{- $folder := trimPrefix "file://" $url -}}
{{- $volume := "" -}}
{{- range .Values.volumeMounts -}}
{{- if or (eq $folder .mountPath) (hasPrefix (printf "%s/" .mountPath) $folder) -}}
{{- $volume = .name -}}
{{- end -}}
{{- end -}}
{{- if not $volume -}}
{{- fail (printf "config.evidence.url: a worker's root can't be written to: mount a volume at %s with volumes and volumeMounts" $folder) -}}
{{- end -}}
{{- range .Values.volumes -}}
{{- if and (eq .name $volume) (hasKey . "emptyDir") -}}
{{- fail "volumes: an emptyDir goes with its pod, and evidence is to stay: name a persistentVolumeClaim that all workers can write to" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "stoop.checkScaling" -}}
{{- if and .Values.keda.enabled .Values.hpa.enabled -}}
{{- fail "keda, hpa: two that scale the same workers undo what the other does: enable one" -}}
{{- end -}}
{{- if and .Values.hpa.enabled (not (dig "requests" "cpu" "" (default dict .Values.resources))) -}}
{{- fail "hpa: it counts in shares of resources.requests.cpu: set it" -}}
{{- end -}}
{{- if and .Values.keda.enabled (not .Values.keda.serverAddress) -}}
{{- fail "keda.serverAddress: the Prometheus that has stoop_lag, such as http://prometheus.monitoring:9090" -}}
{{- end -}}
{{- if and .Values.keda.enabled (not (include "stoop.lagTriggers" .)) (not .Values.keda.triggers) -}}
{{- fail "keda.triggers: Pub/Sub doesn't tell its workers how much there is: give KEDA's own gcp-pubsub trigger" -}}
{{- end -}}
{{- end -}}
