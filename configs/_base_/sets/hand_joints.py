# The joints of a hand, by MMPose's names. Of each finger, 1 is the base and 4 the tip.
hand_joints = ['wrist'] + [
    f'{finger}{i}'
    for finger in ('thumb', 'forefinger', 'middle_finger', 'ring_finger',
                   'pinky_finger')
    for i in (1, 2, 3, 4)
]
