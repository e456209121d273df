import {
  ApplicationAutoScalingClient,
  DeregisterScalableTargetCommand,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling'
import { CloudWatchClient, DeleteAlarmsCommand, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch'
import { VARIANT } from './hosting.client.ts'

/** Requests that one instance may have waiting before another is added. */
const BACKLOG_PER_INSTANCE = 4

/**
 * Scaling of an asynchronous endpoint, to zero where `min` is 0. Target tracking follows the backlog an instance has,
 * but cannot leave zero: a step policy on HasBacklogWithoutCapacity does (SageMaker developer guide, "Autoscale an
 * asynchronous endpoint"). Every call sets what it names, so repeating `ensure` changes nothing. No scaling where min = max.
 */
export class EndpointScaling {
  readonly #instances: { min: number; max: number }
  readonly #scaling: Pick<ApplicationAutoScalingClient, 'send'>
  readonly #alarms: Pick<CloudWatchClient, 'send'>
  constructor(
    instances: { min: number; max: number },
    scaling: Pick<ApplicationAutoScalingClient, 'send'> = new ApplicationAutoScalingClient({}),
    alarms: Pick<CloudWatchClient, 'send'> = new CloudWatchClient({}),
  ) {
    this.#instances = instances
    this.#scaling = scaling
    this.#alarms = alarms
  }

  async ensure(endpoint: string): Promise<void> {
    const { min, max } = this.#instances
    if (min === max) return
    const target = targetOf(endpoint)
    const metric = (MetricName: string) => ({
      MetricName,
      Namespace: 'AWS/SageMaker',
      Dimensions: [{ Name: 'EndpointName', Value: endpoint }],
      Statistic: 'Average' as const,
    })
    await this.#scaling.send(new RegisterScalableTargetCommand({ ...target, MinCapacity: min, MaxCapacity: max }))
    await this.#scaling.send(
      new PutScalingPolicyCommand({
        ...target,
        PolicyName: `${endpoint}-backlog`,
        PolicyType: 'TargetTrackingScaling',
        TargetTrackingScalingPolicyConfiguration: {
          TargetValue: BACKLOG_PER_INSTANCE,
          CustomizedMetricSpecification: metric('ApproximateBacklogSizePerInstance'),
          ScaleInCooldown: 600,
          ScaleOutCooldown: 300,
        },
      }),
    )
    const { PolicyARN } = await this.#scaling.send(
      new PutScalingPolicyCommand({
        ...target,
        PolicyName: `${endpoint}-wake`,
        PolicyType: 'StepScaling',
        StepScalingPolicyConfiguration: {
          AdjustmentType: 'ChangeInCapacity',
          MetricAggregationType: 'Average',
          Cooldown: 300,
          StepAdjustments: [{ MetricIntervalLowerBound: 0, ScalingAdjustment: 1 }],
        },
      }),
    )
    await this.#alarms.send(
      new PutMetricAlarmCommand({
        ...metric('HasBacklogWithoutCapacity'),
        AlarmName: alarmOf(endpoint),
        AlarmDescription: 'Wakes the influence endpoint: receipts wait for their scores and there is no instance.',
        Period: 60,
        EvaluationPeriods: 2,
        DatapointsToAlarm: 2,
        Threshold: 1,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'missing',
        AlarmActions: [PolicyARN!],
      }),
    )
  }

  /** With an endpoint go its target, whose policies go with it, and the alarm that wakes it; what is gone already is fine. */
  async remove(endpoint: string): Promise<void> {
    if (this.#instances.min === this.#instances.max) return
    await this.#scaling.send(new DeregisterScalableTargetCommand(targetOf(endpoint))).catch((error: Error) => {
      if (error.name !== 'ObjectNotFoundException') throw error
    })
    await this.#alarms.send(new DeleteAlarmsCommand({ AlarmNames: [alarmOf(endpoint)] }))
  }
}

const alarmOf = (endpoint: string) => `${endpoint}-wake`
const targetOf = (endpoint: string) =>
  ({
    ServiceNamespace: 'sagemaker',
    ResourceId: `endpoint/${endpoint}/variant/${VARIANT}`,
    ScalableDimension: 'sagemaker:variant:DesiredInstanceCount',
  }) as const
