import { Aws } from 'aws-cdk-lib'
import type { HouseFunction } from './constructs/house-function.ts'

const at = (service: string, resource: string) =>
  `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`
const TARGETS = [at('application-autoscaling', 'scalable-target/*')]
const ONLY_SAGEMAKER = { StringEquals: { 'application-autoscaling:service-namespace': 'sagemaker' } }

/** ARN pattern of the influence endpoints of a deployment (`influenceName` of functions/open-lora/pools.ts). */
export const influenceEndpoints = (prefix: string): string => at('sagemaker', `endpoint/${prefix}-*-influence`)
const wakeAlarms = (prefix: string): string => at('cloudwatch', `alarm:${prefix}-*-influence-wake`)

/** Application Auto Scaling of the influence endpoints (SageMaker developer guide, "Auto scaling prerequisites"). */
export const allowScaling = (ensure: HouseFunction, prefix: string): void => {
  const role =
    'sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint'
  ensure
    .allow(
      ['application-autoscaling:RegisterScalableTarget', 'application-autoscaling:PutScalingPolicy'],
      TARGETS,
      ONLY_SAGEMAKER,
    )
    .allow(['sagemaker:UpdateEndpointWeightsAndCapacities'], [influenceEndpoints(prefix)])
    .allow(
      ['cloudwatch:PutMetricAlarm', 'cloudwatch:DescribeAlarms', 'cloudwatch:DeleteAlarms'],
      [wakeAlarms(prefix), at('cloudwatch', `alarm:TargetTracking-endpoint/${prefix}-*-influence/*`)],
    )
    .allow(
      ['iam:CreateServiceLinkedRole'],
      [`arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:role/aws-service-role/${role}`],
      { StringEquals: { 'iam:AWSServiceName': 'sagemaker.application-autoscaling.amazonaws.com' } },
    )
}

/** With an endpoint goes what scaled it. */
export const allowRemoval = (remove: HouseFunction, prefix: string): void => {
  remove
    .allow(['application-autoscaling:DeregisterScalableTarget'], TARGETS, ONLY_SAGEMAKER)
    .allow(['cloudwatch:DeleteAlarms'], [wakeAlarms(prefix)])
}
