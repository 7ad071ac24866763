# Synthetic sheep and hounds (labeled source) to Animal-Pose's sheep and dogs (target).
_base_ = [
    '../sets/synthetic_animals.py',
    '../sets/animal_pose.py',
]

# Animal-Pose's joints, mapped to those of the synthetic animals.
animal_pose_joints = dict(
    L_Eye='left_eye',
    R_Eye='right_eye',
    L_F_Elbow='left_front_elbow',
    R_F_Elbow='right_front_elbow',
    L_B_Elbow='left_back_elbow',
    R_B_Elbow='right_back_elbow',
    L_F_Knee='left_front_knee',
    R_F_Knee='right_front_knee',
    L_B_Knee='left_back_knee',
    R_B_Knee='right_back_knee',
    L_F_Paw='left_front_hoof',
    R_F_Paw='right_front_hoof',
    L_B_Paw='left_back_hoof',
    R_B_Paw='right_back_hoof')

# The joint definition is Animal-Pose's. The weight of ears, nose, throat, withers, and
# tail is 0.
joints = 'AnimalPoseDataset'
source = dict(joint_map=animal_pose_joints, **_base_.synthetic_sheep_hound_train)
target = _base_.animal_pose_train
target_val = _base_.animal_pose_val
target_evaluator = dict(
    type='SharedJointsPCK', thr=0.05, joints=list(animal_pose_joints))
target_metric = 'PCK@0.05 (14 joints)'
