{{- define "stoop.pod" -}}
{{- $journals := include "stoop.journals" . | fromJson -}}
metadata:
  labels:
    {{- include "stoop.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Playbooks are read again while a worker runs, its configuration is not.
    stoop.dev/configuration: {{ include "stoop.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "stoop.account" . }}
  automountServiceAccountToken: true
  # Kubernetes would set STOOP_PORT for a Service called stoop, and a worker takes STOOP_… for its configuration.
  enableServiceLinks: false
  # Longer than limits.drain, for what comes after it: commits, and leaving the group.
  terminationGracePeriodSeconds: {{ add (include "stoop.drainSeconds" .) 15 }}
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
    {{- if and $journals (not (kindIs "invalid" .Values.fsGroup)) }}
    fsGroup: {{ int .Values.fsGroup }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if kindIs "invalid" .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "stoop.selector" $ | nindent 10 }}
    {{- end }}
  {{- else }}
  topologySpreadConstraints: {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- end }}
  containers:
    - name: stoop
      image: {{ include "stoop.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run, -c, /etc/stoop/stoop.yaml]
      env:
        # The worker is itself no target, and never drains the node that it runs on.
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: health, containerPort: {{ include "stoop.healthPort" . }}}
        {{- range include "stoop.listeners" . | fromJsonArray }}
        - {name: {{ .name }}, containerPort: {{ .port }}}
        {{- end }}
      livenessProbe:
        httpGet: {path: /healthz, port: health}
        periodSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        periodSeconds: 5
      {{- with .Values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/stoop/stoop.yaml, subPath: stoop.yaml, readOnly: true}
        # The whole folder, so that changes arrive.
        - {name: playbooks, mountPath: /etc/stoop/playbooks, readOnly: true}
        {{- range $name, $_ := .Values.secrets }}
        - {name: secret-{{ $name }}, mountPath: /etc/stoop/secrets/{{ $name }}, readOnly: true}
        {{- end }}
        {{- if $journals }}
        - {name: journals, mountPath: /var/lib/stoop}
        {{- end }}
        {{- with .Values.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "stoop.fullname" . }}}
    - name: playbooks
      configMap: {name: {{ include "stoop.playbooksMap" . }}}
    {{- range $name, $secret := .Values.secrets }}
    - name: secret-{{ $name }}
      secret: {secretName: {{ $secret }}}
    {{- end }}
    {{- with .Values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
