# Waits for the victim, and writes a kubeconfig that others of the compose network can use.
set -eu
export KUBECONFIG=/tmp/config
sed 's#https://127.0.0.1:6443#https://k3s:6443#' /admin/k3s.yaml >"$KUBECONFIG"
until kubectl --namespace shop get statefulset web >/dev/null 2>&1; do sleep 1; done
kubectl --namespace shop rollout status statefulset/web --timeout=180s
kubectl wait --for=condition=Established customresourcedefinition/responses.stoop.dev --timeout=60s
cp "$KUBECONFIG" /kube/config
# Workers are nobody in particular.
chmod 0444 /kube/config
