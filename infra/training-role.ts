import { Aws } from 'aws-cdk-lib'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import type { Storage } from './storage.ts'

/** Training reads its channels and writes its output; it has no network beside. */
export const trainingRoleOf = (scope: Construct, { models }: Storage): Role => {
  const role = new Role(scope, 'TrainingRole', {
    assumedBy: new ServicePrincipal('sagemaker.amazonaws.com'),
    description: 'Execution role of training jobs',
  })
  role.addToPolicy(
    new PolicyStatement({
      actions: ['s3:GetObject'],
      resources: [models.arnForObjects('bases/*'), models.arnForObjects('trainings/*')],
    }),
  )
  role.addToPolicy(
    new PolicyStatement({
      actions: ['s3:PutObject', 's3:AbortMultipartUpload'],
      resources: [models.arnForObjects('trainings/*')],
    }),
  )
  role.addToPolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [models.bucketArn] }))
  role.addToPolicy(
    new PolicyStatement({
      actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
      resources: [`arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/TrainingJobs*`],
    }),
  )
  role.addToPolicy(
    new PolicyStatement({
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': '/aws/sagemaker/TrainingJobs' } },
    }),
  )
  return role
}
