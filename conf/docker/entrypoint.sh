#!/usr/bin/env bash
# What the container runs: Spark on Kubernetes asks for `driver` and `executor`; anything else is a command.
set -euo pipefail

# A cluster may give the container a user id that has no name; Hadoop asks for one.
if ! id --user --name >/dev/null 2>&1; then
    export HADOOP_USER_NAME=${HADOOP_USER_NAME:-detector} HOME=/tmp USER=detector
fi
readonly spark=${SPARK_HOME:?}
readonly role=${1:-}

# Spark hands Java options on as SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...
java_options=()
for ((number = 0; ; number++)); do
    variable=SPARK_JAVA_OPT_$number
    [[ -v $variable ]] || break
    java_options+=("${!variable}")
done
class_path="${SPARK_CONF_DIR:-$spark/conf}:$spark/jars/*:${SPARK_EXTRA_CLASSPATH:-}"

case $role in
driver)
    shift
    exec "$spark/bin/spark-submit" \
        --conf "spark.driver.bindAddress=${SPARK_DRIVER_BIND_ADDRESS:?}" \
        --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS" \
        --deploy-mode client "$@"
    ;;
executor)
    exec java ${java_options[@]+"${java_options[@]}"} \
        "-Xms${SPARK_EXECUTOR_MEMORY:?}" "-Xmx$SPARK_EXECUTOR_MEMORY" \
        --class-path "$class_path" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "${SPARK_DRIVER_URL:?}" \
        --executor-id "${SPARK_EXECUTOR_ID:?}" \
        --cores "${SPARK_EXECUTOR_CORES:?}" \
        --app-id "${SPARK_APPLICATION_ID:?}" \
        --hostname "${SPARK_EXECUTOR_POD_IP:?}" \
        --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID:?}" \
        --podName "${SPARK_EXECUTOR_POD_NAME:?}"
    ;;
*)
    exec "$@"
    ;;
esac
